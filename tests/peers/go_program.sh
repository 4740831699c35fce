# The frame of build_*.sh: builds what one release of one project gives, from its Go modules, and prints the path.
# Sourced by them. It lies outside the checkout, so that each machine builds it once:
# ${XDG_CACHE_HOME:-~/.cache}/hopspan/peers/NAME-VERSION. Needs Go >= 1.25 (or >= 1.21 where GOTOOLCHAIN lets it fetch
# a newer one), flock and a Go module proxy. All modules must have the sums that stand in NAME.sum; --update-sums
# writes those of a changed manifest there.
# shellcheck shell=bash

readonly LEAST_GO=1.25.0
# Without cgo no C compiler is needed.
readonly BUILD_ENV=(CGO_ENABLED=0 GOWORK=off "GOFLAGS=-mod=mod -buildvcs=false")
readonly BUILD_OPTIONS=(-trimpath "-ldflags=-s -w")

here=$(dirname "$(realpath "$0")")
update=
[[ ${1-} != --update-sums ]] || update=yes

fail() {
  echo "${0##*/}: $*" >&2
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
  mkdir "$work/check"
  printf 'module check\n\ngo %s\n' "$LEAST_GO" >"$work/check/go.mod"
  local found
  found=$(cd "$work/check" && go env GOVERSION 2>/dev/null) || found=$(cd / && go env GOVERSION)
  printf 'go%s\n%s\n' "$LEAST_GO" "${found%% *}" | sort -V -C \
    || fail "needs Go $LEAST_GO or newer, and 'go' on PATH is $found (a distribution's may be too old)"
}

take_sums() {
  [[ $update ]] || cp "$here/$name.sum" go.sum
}

# build_once NAME VERSION PROGRAM MANIFEST TITLE: prints where PROGRAM lies, which `build_programs` of the caller put
# into $work/made, in $work/source, from the manifest, and with $work/*.sum to keep where the sums are updated.
build_once() {
  name=$1
  local version=$2 program=$3 manifest=$4 title=$5
  local target=${XDG_CACHE_HOME:-$HOME/.cache}/hopspan/peers/$name-$version
  log=$target.log
  mkdir -p "${target%/*}"
  exec 9>"$target.lock"
  flock 9
  local made_from
  made_from=$({ echo "$version ${BUILD_ENV[*]} ${BUILD_OPTIONS[*]}"; cat "$manifest"; } | sha256sum)
  if [[ ! $update && -x $target/$program && $(cat "$target/made-from" 2>/dev/null) == "$made_from" ]]; then
    echo "$target/$program"
    return
  fi

  # Whoever was killed here left something behind; nobody else is here while we hold the lock.
  rm -rf "$target".part.*
  work=$(mktemp -d "$target.part.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  mkdir "$work/made" "$work/source"
  check_go
  echo "building $title $version: some minutes, once" >&2
  : >"$log"
  cd "$work/source"
  build_programs "$manifest" "$version"
  [[ ! $update ]] || sort -u "$work"/*.sum >"$here/$name.sum"

  echo "$made_from" >"$work/made/made-from"
  # A rename is whole or not at all, so a reader without the lock never sees half of it.
  rm -rf "$target"
  mv -T "$work/made" "$target"
  echo "built in $SECONDS s" >&2
  echo "$target/$program"
}
