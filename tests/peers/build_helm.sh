#!/bin/bash
# Builds the Helm that lints, renders and installs the chart, and prints its path; see go_program.sh.
# 2 to 10 minutes.
set -euo pipefail
. "$(dirname "$(realpath "$0")")/go_program.sh"

readonly HELM=helm.sh/helm/v3
# The Kubernetes that `helm template` and `helm lint` suppose; a Helm built without it supposes 1.20.
readonly SUPPOSED="-X $HELM/pkg/lint/rules.k8sVersionMinor=36 -X $HELM/pkg/chartutil.k8sVersionMinor=36"

build_programs() {
  local manifest=$1 version=$2
  cp "$manifest" go.mod
  take_sums
  run go build "${BUILD_OPTIONS[@]}" "-ldflags=-s -w $SUPPOSED -X $HELM/internal/version.version=v$version" \
    -o "$work/made/helm" "$HELM/cmd/helm"
  run "$work/made/helm" version
  cp go.sum "$work/helm.sum"
}

version=$(sed -n "s|^require $HELM v||p" "$here/helm.mod")
build_once helm "$version" helm "$here/helm.mod" Helm
