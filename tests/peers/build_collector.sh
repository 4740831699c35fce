#!/bin/bash
# Builds the OpenTelemetry Collector that tests and benchmarks compare with, from its Go modules, and prints its path.
# It lies outside the checkout, so that each machine builds it once: ${XDG_CACHE_HOME:-~/.cache}/hopspan/peers/collector-VERSION.
# Needs Go >= 1.25 (or >= 1.21 where GOTOOLCHAIN lets it fetch a newer one), flock and a Go module proxy; 3 to 10 minutes.
# All modules must have the sums that stand in collector.sum; --update-sums writes those of a changed manifest there.
set -euo pipefail

readonly LEAST_GO=1.25.0
readonly BUILDER=go.opentelemetry.io/collector/cmd/builder
# Without cgo no C compiler is needed.
readonly BUILD_ENV=(CGO_ENABLED=0 GOWORK=off "GOFLAGS=-mod=mod -buildvcs=false")
readonly BUILD_OPTIONS=(-trimpath "-ldflags=-s -w")

here=$(dirname "$(realpath "$0")")
version=$(sed -n 's/^  version: //p' "$here/collector.yaml")
target=${XDG_CACHE_HOME:-$HOME/.cache}/hopspan/peers/collector-$version
log=$target.log

fail() {
  echo "build_collector.sh: $*" >&2
  exit 1
}

# Runs a step with its output in the log; where it fails, the reason is the log's last line.
run() {
  nice -n 19 env "${BUILD_ENV[@]}" "$@" >>"$log" 2>&1 && return
  fail "'${1##*/} $2' failed, see $log: $(grep -v '^[[:space:]]*$' "$log" | tail -n 1)"
}

# From Go 1.21 on, a module that asks for a newer Go gets it, or an error where GOTOOLCHAIN forbids that.
check_go() {
  command -v go >/dev/null || fail "needs Go $LEAST_GO or newer, and there is no command 'go' on PATH"
  local found
  found=$(cd "$work/builder" && go env GOVERSION 2>/dev/null) || found=$(cd / && go env GOVERSION)
  printf 'go%s\n%s\n' "$LEAST_GO" "${found%% *}" | sort -V -C \
    || fail "needs Go $LEAST_GO or newer, and 'go' on PATH is $found (a distribution's may be too old)"
}

take_sums() {
  [[ $update ]] || cp "$here/collector.sum" go.sum
}

update=
[[ ${1-} != --update-sums ]] || update=yes
mkdir -p "${target%/*}"
exec 9>"$target.lock"
flock 9
made_from=$({ echo "$version ${BUILD_ENV[*]} ${BUILD_OPTIONS[*]}"; cat "$here/collector.yaml"; } | sha256sum)
if [[ ! $update && -x $target/otelcol && $(cat "$target/made-from" 2>/dev/null) == "$made_from" ]]; then
  echo "$target/otelcol"
  exit
fi

# Whoever was killed here left something behind; nobody else is here while we hold the lock.
rm -rf "$target".part.*
work=$(mktemp -d "$target.part.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/builder" "$work/made"
cd "$work/builder"
printf 'module builder\n\ngo %s\n\nrequire %s v%s\n' "$LEAST_GO" "$BUILDER" "$version" >go.mod
check_go
echo "building the OpenTelemetry Collector $version: some minutes, once" >&2
: >"$log"

take_sums
run go build -o builder "$BUILDER"
# Left to itself the builder would tidy, which fetches what the tests of all modules need as well.
cp "$here/collector.yaml" .
run ./builder --config=collector.yaml --skip-get-modules --skip-compilation
cd source
take_sums
run go build "${BUILD_OPTIONS[@]}" -o "$work/made/otelcol" .
run "$work/made/otelcol" components
[[ ! $update ]] || sort -u "$work/builder/go.sum" go.sum >"$here/collector.sum"

echo "$made_from" >"$work/made/made-from"
# A rename is whole or not at all, so a reader without the lock never sees half of it.
rm -rf "$target"
mv -T "$work/made" "$target"
echo "$target/otelcol"
