#!/bin/bash
# build.sh PROGRAM OUT.tar: builds the image of node-probe or collector-plugin without an engine, for
# `ctr -n k8s.io images import`, `docker load` and `podman load`, and prints its name:
# localhost/hopspan-PROGRAM:VERSION, the version of pyproject.toml. What is not of this checkout is made once and kept
# outside, in ${XDG_CACHE_HOME:-~/.cache}/hopspan/images; remove that to take the distribution's updates.
# Needs apt, dpkg-deb, binutils, flock, and the distribution's python3 with python3-venv.
set -euo pipefail

here=$(dirname "$(realpath "$0")")

fail() {
  echo "${0##*/}: $*" >&2
  exit 1
}

(($# == 2)) && [[ -f $here/$1/Containerfile ]] || fail "usage: ${0##*/} node-probe|collector-plugin OUT.tar"
program=$1 out=$(realpath -m "$2")
[[ -d ${out%/*} ]] || fail "no folder for $2"
for command in apt-get dpkg-deb flock ld; do
  command -v "$command" >/dev/null || fail "needs the command '$command'"
done

cache=${XDG_CACHE_HOME:-$HOME/.cache}/hopspan/images
log=$cache/$program.log
mkdir -p "$cache"
exec 9>"$cache/$program.lock"
flock 9
# Whoever was killed here left something behind; nobody else is here while we hold the lock.
rm -rf "$cache/$program".part.*
work=$(mktemp -d "$cache/$program.part.XXXXXX")
trap 'rm -rf "$work"' EXIT

# Runs a step with its output in the log; where it fails, the reason is the log's last line.
run() {
  nice -n 19 "$@" >>"$log" 2>&1 || fail "'${*##*/}' failed, see $log: $(grep -v '^[[:space:]]*$' "$log" | tail -n 1)"
}

# Layers that the checkout's own files do not change, in a folder that is named by what they are made from.
make_base() {
  local sum
  sum=$({
    cat "$here"/{root,hollow,finish,python}.sh "$here"/{archive.py,leave-out,remove,"$program/packages"}
    /usr/bin/python3 "$here/requirements.py" "$program"
    cat "$here/../../constraints.txt" /etc/os-release
    uname -m
  } | sha256sum)
  base=$cache/$program-${sum:0:12}
  if [[ ! -d $base ]]; then
    echo "building what the image of $program stands on: minutes, once" >&2
    : >"$log"
    mkdir "$work/base"
    run "$here/root.sh" "$program" "$work/root"
    # The tools are not in $work, since a virtual environment cannot be moved.
    run "$here/python.sh" libraries "$program" "$work/libraries" "$base.tools"
    run /usr/bin/python3 "$here/archive.py" layer "$work/root" "$work/base/root"
    run /usr/bin/python3 "$here/archive.py" layer "$work/libraries" "$work/base/libraries"
    mv -T "$work/base" "$base"
  fi
  # Those that no checkout has asked for in a week.
  touch "$base" "$base.tools"
  find "$cache" -maxdepth 1 -name "$program-*" -mtime +7 -exec rm -rf {} +
}

make_base
run "$here/python.sh" program "$program" "$work/program" "$base.tools"
run /usr/bin/python3 "$here/archive.py" layer "$work/program" "$work/layer"
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$here/../../pyproject.toml")
name=localhost/hopspan-$program:$version
run /usr/bin/python3 "$here/archive.py" image "$here/$program/Containerfile" "$name" "$work/image.tar" \
  "$base/root" "$base/libraries" "$work/layer"
mv "$work/image.tar" "$out"
echo "$name"
