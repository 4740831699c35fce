#!/bin/bash
# finish.sh ROOT: takes out of ROOT what the list `remove` names and folders that are empty then, and compiles Python's
# modules there: the root is read-only where the image runs, so no start could keep them, and each would take a second
# and, for as long as it runs, 7 MB more.
set -euo pipefail

here=$(dirname "$(realpath "$0")")
root=$1
while read -r pattern; do
  find "$root" -depth -path "$root/$pattern" -exec rm -rf {} +
done < <(sed -e 's/ *#.*//' -e '/^$/d' "$here/remove")
find "$root/usr" -depth -mindepth 1 -type d -empty -delete
# Never compared with the sources' times, which differ from build to build.
find "$root/usr" -maxdepth 3 -name 'python3*' -type d -exec \
  /usr/bin/python3 -m compileall -q --invalidation-mode unchecked-hash -s "$root" -p / {} + >&2
