#!/bin/bash
# root.sh PROGRAM ROOT: lays the distribution's part of PROGRAM's image into the new folder ROOT: what PROGRAM/packages
# asks for and what that needs, but leave-out and remove, from the mirrors that this machine's apt is set up for. Of the
# machine's own set-up nothing gets there. No package's script is run: the image has no shell and no package manager.
# Called by build.sh and by the Containerfiles. Needs apt, dpkg-deb, binutils and python3 of a Debian or Ubuntu.
set -euo pipefail

here=$(dirname "$(realpath "$0")")
program=$1 root=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The words of a list, one a line, without its comments.
read_list() {
  sed 's/#.*//' "$1" | xargs -n 1
}

# With an empty status nothing is installed, so that all that is needed is fetched.
fetch() {
  mkdir -p "$work"/{state,lists,archives}/partial
  : >"$work/state/status"
  local options=(-qq -y -o Dir::State="$work/state" -o Dir::State::status="$work/state/status"
    -o Dir::State::lists="$work/lists" -o Dir::Cache="$work" -o Dir::Cache::archives="$work/archives"
    -o Debug::NoLocking=1 -o APT::Install-Recommends=false)
  # apt's own user may not enter a temporary folder of root's.
  ((UID)) || options+=(-o APT::Sandbox::User=root)
  local packages
  mapfile -t packages < <(read_list "$here/$program/packages")
  apt-get "${options[@]}" update >&2
  apt-get "${options[@]}" --download-only install "${packages[@]}" >&2
}

# Leaves each package's description where scanners look for it in images without a package manager.
unpack() {
  mkdir -p "$root"/{etc,proc,sys,dev,run,tmp,var/lib/dpkg/status.d,usr/{bin,sbin,lib,lib64}}
  local name
  for name in bin sbin lib lib64; do ln -s "usr/$name" "$root/$name"; done
  local left_out
  left_out=$(read_list "$here/leave-out" | paste -s -d '|')
  local file
  for file in "$work"/archives/*.deb; do
    name=$(dpkg-deb -f "$file" Package)
    [[ ! $name =~ ^($left_out)(t64)?$ ]] || continue
    dpkg-deb -f "$file" >"$root/var/lib/dpkg/status.d/$name"
    dpkg-deb --fsys-tarfile "$file" | tar -xp -C "$root" --keep-directory-symlink --no-same-owner
  done
  chmod 1777 "$root/tmp"
}

# What the packages' scripts would have made.
add_files() {
  cat "$root"/usr/share/ca-certificates/mozilla/*.crt >"$work/certificates"
  mkdir -p "$root/etc/ssl/certs"
  mv "$work/certificates" "$root/etc/ssl/certs/ca-certificates.crt"
  printf '%s\n' 'root:x:0:0:root:/:/sbin/nologin' 'nonroot:x:65532:65532:nonroot:/:/sbin/nologin' >"$root/etc/passwd"
  printf '%s\n' 'root:x:0:' 'nonroot:x:65532:' >"$root/etc/group"
  echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
  printf '%s\n' '127.0.0.1 localhost' '::1 localhost' >"$root/etc/hosts"
}

# Of the packages' documents the licences stay.
make_small() {
  find "$root/usr/share/doc" ! -type d ! -name copyright -delete
  "$here/hollow.sh" "$root"
  "$here/finish.sh" "$root"
}

# Another release of the distribution may need a library that the lists leave out.
check_libraries() {
  find "$root/usr" -type f \( -name '*.so*' -o -path '*/bin/*' \) -exec readelf -d {} + 2>/dev/null \
    | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort -u >"$work/needed"
  find "$root/usr" -name '*.so*' -printf '%f\n' | sort -u >"$work/present"
  local missing
  missing=$(comm -23 "$work/needed" "$work/present" | paste -s -d ' ')
  [[ ! $missing ]] || { echo "left out, but needed: $missing" >&2; exit 1; }
}

fetch
unpack
add_files
make_small
check_libraries
