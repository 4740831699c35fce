#!/bin/bash
# Builds the Jaeger that tests compare with, and its demo HotROD beside it, and prints Jaeger's path; see go_program.sh.
# 5 to 15 minutes. The files of its page are no part of the modules; the API is whole.
set -euo pipefail
. "$(dirname "$(realpath "$0")")/go_program.sh"

readonly JAEGER=github.com/jaegertracing/jaeger

build_programs() {
  cp "$1" go.mod
  take_sums
  run go build "${BUILD_OPTIONS[@]}" -o "$work/made/jaeger" "$JAEGER/cmd/jaeger"
  run go build "${BUILD_OPTIONS[@]}" -o "$work/made/hotrod" "$JAEGER/examples/hotrod"
  run "$work/made/jaeger" components
  cp go.sum "$work/jaeger.sum"
}

version=$(sed -n "s|^require $JAEGER v||p" "$here/jaeger.mod")
build_once jaeger "$version" jaeger "$here/jaeger.mod" Jaeger
