#!/bin/bash
# remove.sh ROOT: takes out of ROOT what the list `remove` names, and folders that are empty then.
set -euo pipefail

here=$(dirname "$(realpath "$0")")
root=$1
while read -r pattern; do
  find "$root" -depth -path "$root/$pattern" -exec rm -rf {} +
done < <(sed -e 's/ *#.*//' -e '/^$/d' "$here/remove")
find "$root/usr" -depth -mindepth 1 -type d -empty -delete
