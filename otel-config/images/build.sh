#!/bin/bash
# build.sh PROGRAM OUT.tar: builds the image of node-probe or collector-plugin without an engine, for
# `ctr -n k8s.io images import`, `docker load` and `podman load`, and prints its name:
# localhost/hopspan-PROGRAM:VERSION, the version of pyproject.toml. What is not of this checkout is made once and kept
# outside, in ${XDG_CACHE_HOME:-~/.cache}/hopspan/images/PROGRAM; remove that to take the distribution's updates.
# Needs apt, dpkg-deb, binutils, flock, and the distribution's python3 with python3-venv.
set -euo pipefail

here=$(dirname "$(realpath "$0")")

fail() {
  echo "${0##*/}: $*" >&2
  exit 1
}

(($# == 2)) && [[ -f $here/$1/Containerfile ]] || fail "usage: ${0##*/} node-probe|collector-plugin OUT.tar"
program=$1 out=$(realpath -m "$2")
for command in apt-get dpkg-deb flock ld; do
  command -v "$command" >/dev/null || fail "needs the command '$command'"
done

cache=${XDG_CACHE_HOME:-$HOME/.cache}/hopspan/images
target=$cache/$program
log=$target.log
mkdir -p "$cache"
exec 9>"$target.lock"
flock 9
# Whoever was killed here left something behind; nobody else is here while we hold the lock.
rm -rf "$target".part.*
work=$(mktemp -d "$target.part.XXXXXX")
trap 'rm -rf "$work"' EXIT

# Runs a step with its output in the log; where it fails, the reason is the log's last line.
run() {
  nice -n 19 "$@" >>"$log" 2>&1 || fail "'${*##*/}' failed, see $log: $(grep -v '^[[:space:]]*$' "$log" | tail -n 1)"
}

make_base() {
  local made_from base=$work/base
  made_from=$({
    cat "$here"/{root.sh,hollow.sh,python.sh,finish.sh,requirements.py,archive.py,leave-out,remove} "$here/$program"/[a-z]*
    cat "$here/../../pyproject.toml"
    cat "$here/../../constraints.txt" /etc/os-release
    uname -m
  } | sha256sum)
  [[ $(cat "$target/made-from" 2>/dev/null) != "$made_from" ]] || return 0
  echo "building what the image of $program stands on: a minute, once" >&2
  : >"$log"
  mkdir "$base"
  run "$here/root.sh" "$program" "$work/root"
  # Not in $work, since a virtual environment cannot be moved.
  rm -rf "$target"
  run "$here/python.sh" libraries "$program" "$work/libraries" "$target.tools"
  run /usr/bin/python3 "$here/archive.py" layer "$work/root" "$base/root"
  run /usr/bin/python3 "$here/archive.py" layer "$work/libraries" "$base/libraries"
  echo "$made_from" >"$base/made-from"
  mv -T "$base" "$target"
}

make_base
run "$here/python.sh" program "$program" "$work/program" "$target.tools"
run /usr/bin/python3 "$here/archive.py" layer "$work/program" "$work/layer"
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$here/../../pyproject.toml")
name=localhost/hopspan-$program:$version
run /usr/bin/python3 "$here/archive.py" image "$here/$program/Containerfile" "$name" "$work/image.tar" \
  "$target/root" "$target/libraries" "$work/layer"
mv "$work/image.tar" "$out"
echo "$name"
