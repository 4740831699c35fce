#!/bin/bash
# hollow.sh ROOT: in place of libraries that LLVM is linked with and no compiler of BPF programs calls, puts ones without
# code in them: the names that LLVM asks the loader for, and an illegal instruction for whoever calls one. They are Z3,
# for clang's static analyser, and libxml2, for manifests of Windows, which brings ICU: together 60 MB.
set -euo pipefail

root=$1
llvm=$(find "$root"/usr/lib/*-linux-gnu -maxdepth 1 -name 'libLLVM*.so.*' | sort | head -n 1)
[[ $llvm ]] || exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# make_hollow NAME PREFIX: a library with all that LLVM takes from libNAME, whose names begin with PREFIX. The loader
# looks for them under their versions (NAME@VERSION) where they have some.
make_hollow() {
  local soname
  soname=$(readelf -d "$llvm" | sed -n "s/.*(NEEDED).*\[\(lib$1\.so[.0-9]*\)\]/\1/p")
  [[ $soname ]] || return 0
  nm -D --undefined-only "$llvm" | sed -n "s/^ *U \($2.*\)/\1/p" >"$work/names"
  awk -F @ 'BEGIN { print ".text" } { print ".globl " $1; print $1 ":" } END { print "ud2" }' "$work/names" \
    | as -o "$work/object" -
  awk -F @ 'NF > 1 { names[$2] = names[$2] $1 ";" } END { for (i in names) print i " { " names[i] " };" }' "$work/names" \
    | sort >"$work/versions"
  local options=(-shared --build-id=none -z noexecstack -soname "$soname")
  [[ ! -s $work/versions ]] || options+=(--version-script="$work/versions")
  ld "${options[@]}" -o "${llvm%/*}/$soname" "$work/object"
  strip "${llvm%/*}/$soname"
}

make_hollow z3 Z3_
make_hollow xml2 xml
