#!/bin/bash
# python.sh libraries|program PROGRAM ROOT TOOLS: lays into ROOT what PROGRAM needs of PyPI, in the versions of
# constraints.txt, or hopspan itself, from this checkout. TOOLS is a virtual environment, made where it is missing; its
# python3 is the distribution's, and so of the same version as the image's. Called by build.sh and by the Containerfiles.
set -euo pipefail

here=$(dirname "$(realpath "$0")")
source=$(realpath "$here/../..")
what=$1 program=$2 root=$3 tools=$4

pip() {
  "$tools/bin/python" -m pip --disable-pip-version-check -q "$@" >&2
}

# The mark is made last: a half of it is no environment.
[[ -e $tools/made ]] || {
  /usr/bin/python3 -m venv --clear "$tools"
  pip install -c "$source/constraints.txt" pip hatchling
  touch "$tools/made"
}
version=$("$tools/bin/python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
target=$root/usr/local/lib/$version/dist-packages
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$target"

add_libraries() {
  "$tools/bin/python" "$here/requirements.py" "$program" >"$work/requirements"
  pip install -c "$source/constraints.txt" -r "$work/requirements" --no-compile --target "$target"
  # Some wheels bring tens of megabytes of symbols for debuggers.
  find "$target" -name '*.so' -exec strip --strip-unneeded {} +
}

# Installed by name, not by path, since pip notes where a path was.
add_program() {
  pip wheel --no-deps --no-build-isolation -w "$work" "$source"
  pip install --no-deps --no-index --find-links "$work" --no-compile --target "$target" hopspan
  mkdir -p "$root/usr/local/bin"
  sed '1s|.*|#!/usr/bin/python3|' "$target/bin/$program" >"$root/usr/local/bin/$program"
  chmod 755 "$root/usr/local/bin/$program"
}

"add_$what"
# The commands, which are taken out, begin with the path of the tools; so would their sums differ from place to place.
sed -i '/^\.\.\/\.\.\/bin\//d' "$target"/*.dist-info/RECORD
"$here/finish.sh" "$root"
