#!/bin/bash
# Builds Prometheus's promtool, which checks alert rules and tries them, and prints its path; see go_program.sh.
# 2 to 5 minutes.
set -euo pipefail
. "$(dirname "$(realpath "$0")")/go_program.sh"

readonly PROMETHEUS=github.com/prometheus/prometheus
# Prometheus's own: without it the libraries of all clouds are compiled, for checks of what Prometheus is to scrape.
readonly TAGS=remove_all_sd

build_programs() {
  cp "$1" go.mod
  take_sums
  run go build -tags "$TAGS" "${BUILD_OPTIONS[@]}" -o "$work/made/promtool" "$PROMETHEUS/cmd/promtool"
  run "$work/made/promtool" --version
  cp go.sum "$work/promtool.sum"
}

version=$(sed -n "s|^require $PROMETHEUS v||p" "$here/promtool.mod")
build_once promtool "$version" promtool "$here/promtool.mod" promtool
