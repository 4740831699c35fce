#!/bin/bash
# Builds the OpenTelemetry Collector that tests and benchmarks compare with, and prints its path; see go_program.sh.
# 3 to 10 minutes.
set -euo pipefail
. "$(dirname "$(realpath "$0")")/go_program.sh"

readonly BUILDER=go.opentelemetry.io/collector/cmd/builder

build_programs() {
  local manifest=$1 version=$2
  printf 'module builder\n\ngo %s\n\nrequire %s v%s\n' "$LEAST_GO" "$BUILDER" "$version" >go.mod
  take_sums
  run go build -o builder "$BUILDER"
  # Left to itself the builder would tidy, which fetches what the tests of all modules need as well.
  cp "$manifest" .
  run ./builder --config=collector.yaml --skip-get-modules --skip-compilation
  cp go.sum "$work/builder.sum"
  cd source
  take_sums
  run go build "${BUILD_OPTIONS[@]}" -o "$work/made/otelcol" .
  run "$work/made/otelcol" components
  cp go.sum "$work/otelcol.sum"
}

version=$(sed -n 's/^  version: //p' "$here/collector.yaml")
build_once collector "$version" otelcol "$here/collector.yaml" "the OpenTelemetry Collector"
