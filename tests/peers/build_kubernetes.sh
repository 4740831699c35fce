#!/bin/bash
# Builds the Kubernetes that the chart is tested on, with etcd and the CNI plugins, and prints kubectl's path; see
# go_program.sh. 8 to 15 minutes.
set -euo pipefail
. "$(dirname "$(realpath "$0")")/go_program.sh"

readonly PROGRAMS=(
  k8s.io/kubernetes/cmd/{kube-apiserver,kube-controller-manager,kube-scheduler,kubelet,kube-proxy,kubectl}
  go.etcd.io/etcd/server/v3
  github.com/containernetworking/plugins/plugins/{main/bridge,main/loopback,ipam/host-local,meta/portmap}
)

build_programs() {
  local version=$2
  cp "$1" go.mod
  take_sums
  # A server that does not know its version is taken for 0.0 by the programs that ask for it.
  local stamp="-X k8s.io/component-base/version.git"
  local flags="-s -w ${stamp}Version=v$version ${stamp}Major=${version%%.*} ${stamp}Minor=$(cut -d . -f 2 <<<"$version")"
  local path program
  for path in "${PROGRAMS[@]}"; do
    program=${path##*/}
    [[ $program != v3 ]] || program=etcd
    run go build "${BUILD_OPTIONS[@]}" -ldflags="$flags" -o "$work/made/$program" "$path"
  done
  cp go.sum "$work/kubernetes.sum"
}

version=$(sed -n "s|^require k8s.io/kubernetes v||p" "$here/kubernetes.mod")
build_once kubernetes "$version" kubectl "$here/kubernetes.mod" Kubernetes
