#!/bin/bash
# Fetches the Zipkin that tests send to, as its makers publish it to Maven's central repository, and prints its path:
# ${XDG_CACHE_HOME:-~/.cache}/hopspan/peers/zipkin-VERSION/zipkin.jar, outside the checkout, so once a machine.
# Needs Java >= 17, Maven, flock and a Maven repository; a minute. The file must have the checksum that stands here.
set -euo pipefail

readonly VERSION=3.5.1
readonly SHA256=7ac633a6832647e71e50012a5e3e91fbc7054414955261724526030faf271d8d
readonly ARTIFACT=io.zipkin:zipkin-server:$VERSION:jar:exec
readonly COPY=org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy

. "$(dirname "$(realpath "$0")")/java_tools.sh"

target=${XDG_CACHE_HOME:-$HOME/.cache}/hopspan/peers/zipkin-$VERSION
log=$target.log
mkdir -p "${target%/*}"
exec 9>"$target.lock"
flock 9
# Whoever was killed here left something behind; nobody else is here while we hold the lock.
rm -rf "$target".part.*
if [[ ! -f $target/zipkin.jar ]]; then
  check_java
  check_maven
  work=$(mktemp -d "$target.part.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  echo "fetching Zipkin $VERSION: a minute, once" >&2
  run_maven "$log" -Dartifact="$ARTIFACT" -DoutputDirectory="$work" "$COPY"
  mv "$work"/*.jar "$work/zipkin.jar"
  echo "$SHA256  $work/zipkin.jar" | sha256sum --check --quiet >>"$log" 2>&1 \
    || fail "Zipkin $VERSION as fetched has not the checksum that is known of it"
  # A rename is whole or not at all, so a reader without the lock never sees half of it.
  mv -T "$work" "$target"
  trap - EXIT
fi
echo "$target/zipkin.jar"
