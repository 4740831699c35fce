#!/bin/bash
# Builds the clients of one language, go, java or js, from clients/LANGUAGE, and prints the directory that has them:
# ${XDG_CACHE_HOME:-~/.cache}/hopspan/peers/clients-LANGUAGE, outside the checkout, so once a machine for one state of
# the sources. Needs flock, and Go >= 1.26 (or >= 1.21 where GOTOOLCHAIN lets it fetch one), Java >= 17 and Maven, or
# Node >= 20.6 with npm, each with its registry. What is fetched has the checksums of go.sum, java.sha256 or
# package-lock.json; --update-sums writes java.sha256 anew.
set -euo pipefail
. "$(dirname "$(realpath "$0")")/java_tools.sh"

readonly LEAST_NODE=20

# Runs a step with its output in the log; where it fails, the reason is the log's last line.
run() {
  nice -n 19 "$@" >>"$log" 2>&1 && return
  fail "'${1##*/} $2' failed, see $log: $(grep -v '^[[:space:]]*$' "$log" | tail -n 1)"
}

build_go() {
  command -v go >/dev/null || fail "needs Go 1.26 or newer, and there is no command 'go' on PATH"
  run env CGO_ENABLED=0 GOWORK=off GOFLAGS=-mod=readonly go build -buildvcs=false -trimpath -o "$work/client" .
}

build_java() {
  check_java
  check_maven
  run_maven "$log" package
  mv target/lib "$work/lib"
  cd "$work/lib"
  [[ ! $update ]] || sha256sum -- *.jar >"$sources/java.sha256"
  # Every jar is known, and every known jar is there.
  diff <(sha256sum -- *.jar) "$sources/java.sha256" >>"$log" 2>&1 \
    || fail "the jars that Maven fetched are not those of java.sha256, see $log"
  cd - >/dev/null
  mv target/clients.jar "$work/lib"
}

build_js() {
  command -v node >/dev/null || fail "needs Node $LEAST_NODE or newer, and there is no command 'node' on PATH"
  command -v npm >/dev/null || fail "needs npm, and there is no command 'npm' on PATH"
  local found
  found=$(node --version)
  found=${found#v}
  ((${found%%.*} >= LEAST_NODE)) || fail "needs Node $LEAST_NODE or newer, and 'node' on PATH is $found"
  run npm ci --ignore-scripts --no-audit --no-fund
  mv node_modules ./*.js package.json "$work"
}

language=${1-}
update=
[[ ${2-} != --update-sums ]] || update=yes
[[ $language == go || $language == java || $language == js ]] || fail "usage: build_clients.sh go|java|js"
here=$(dirname "$(realpath "$0")")
sources=$here/clients/$language
target=${XDG_CACHE_HOME:-$HOME/.cache}/hopspan/peers/clients-$language
log=$target.log
mkdir -p "${target%/*}"
exec 9>"$target.lock"
flock 9
made_from=$(cd "$here" && find build_clients.sh "clients/$language" -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum)
if [[ ! $update && $(cat "$target/made-from" 2>/dev/null) == "$made_from" ]]; then
  echo "$target"
  exit
fi

# Whoever was killed here left something behind; nobody else is here while we hold the lock.
rm -rf "$target".part.*
work=$(mktemp -d "$target.part.XXXXXX")
trap 'rm -rf "$work"' EXIT
echo "building the clients in $language: a minute or two, once" >&2
: >"$log"
cp -r "$sources" "$work/sources"
cd "$work/sources"
"build_$language"
cd "$work"
rm -rf sources
echo "$made_from" >made-from
# A rename is whole or not at all, so a reader without the lock never sees half of it.
rm -rf "$target"
mv -T "$work" "$target"
echo "$target"
