#!/bin/bash
# Builds the name server of the Kubernetes that the chart is tested on, and prints its path; see go_program.sh.
# 1 to 3 minutes.
set -euo pipefail
. "$(dirname "$(realpath "$0")")/go_program.sh"

build_programs() {
  cp "$1" go.mod
  cp "$here/coredns/main.go" .
  take_sums
  run go build "${BUILD_OPTIONS[@]}" -o "$work/made/coredns" .
  run "$work/made/coredns" -plugins
  cp go.sum "$work/coredns.sum"
}

version=$(sed -n "s|^require github.com/coredns/coredns v||p" "$here/coredns.mod")
build_once coredns "$version" coredns "$here/coredns.mod" CoreDNS
