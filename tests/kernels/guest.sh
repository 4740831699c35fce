#!/bin/bash
# Runs one command as root under another of Debian's kernels: QEMU without KVM, this machine's root file system below,
# read-only, and a layer in memory on top, so paths are the same and nothing that the guest does is kept.
#
#   tests/kernels/guest.sh 6.1|6.12 COMMAND [ARGUMENT ...]
#
# The exit status is the command's; 125 where the guest did not get so far. The first use of a kernel fetches its
# package and is kept in ${XDG_CACHE_HOME:-~/.cache}/hopspan/kernels. Needs root and, from Debian: qemu-system-x86
# busybox-static cpio xz-utils kmod. GUEST_TIMEOUT_S ends a guest that takes longer; GUEST_NIC is QEMU's `-nic`, by
# default none, and virtio_net is loaded for it.
set -euo pipefail

release=$1
shift
cache=${XDG_CACHE_HOME:-$HOME/.cache}/hopspan/kernels/$release
# What must be in the initial file system to reach the host's files; all other modules lie on them.
boot_modules="virtio_pci 9pnet_virtio 9p overlay"

find_modules() {
    local directory
    for directory in "$cache"/package/lib/modules/* "$cache"/package/usr/lib/modules/*; do
        if [ -d "$directory/kernel" ]; then echo "$directory"; return; fi
    done
    echo "no modules in the kernel package of $release" >&2
    return 1
}

fetch_kernel() {
    local name
    name=$(apt-cache pkgnames "linux-image-$release" | grep -E "^linux-image-${release//./\\.}\.[0-9][^ ]*-amd64$" |
        grep -vE 'cloud|rt-amd64|dbg|unsigned' | sort -V | tail -n 1 || true)
    [ -n "$name" ] || { echo "no Debian package of kernel $release is known here (apt-get update?)" >&2; exit 125; }
    rm -rf "$cache/package" "$cache/download"
    mkdir -p "$cache/download"
    # apt drops its rights to _apt, which may not write to root's cache.
    (cd "$cache/download" && apt-get download -q -o APT::Sandbox::User=root "$name" >&2)
    dpkg-deb -x "$cache"/download/*.deb "$cache/package"
    rm -rf "$cache/download"
}

# Prints the module and what it depends on, dependencies first, as paths below the modules' directory.
list_with_dependencies() {
    local modules=$1 name=$2 line
    line=$(grep -E "/$name\.ko(\.xz)?:" "$modules/modules.dep") || return 0  # built in
    { tr ' ' '\n' <<< "${line#*:}" | tac; echo "${line%%:*}"; } | sed '/^$/d'
}

build_initial_file_system() {
    local modules=$1 root name path base
    root=$(mktemp -d)
    mkdir -p "$root"/{bin,modules,proc,sys,dev,lower,layer,new}
    cp /bin/busybox "$root/bin/busybox"
    for name in $boot_modules; do
        list_with_dependencies "$modules" "$name" | while read -r path; do
            base=$(basename "$path" .xz)
            [ -e "$root/modules/$base" ] && continue
            case $path in
                *.xz) xz -dc "$modules/$path" > "$root/modules/$base" ;;
                *) cp "$modules/$path" "$root/modules/$base" ;;
            esac
            echo "$base" >> "$root/modules/order"
        done
    done
    cat > "$root/init" <<'INIT'
#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs dev /dev
for m in $($b cat /modules/order); do $b insmod /modules/$m; done
$b mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288,cache=loose,ro host /lower
$b mount -t tmpfs -o size=1g layer /layer
$b mkdir /layer/upper /layer/work
$b mount -t overlay -o lowerdir=/lower,upperdir=/layer/upper,workdir=/layer/work new /new
for d in proc sys dev; do $b mount --move /$d /new/$d; done
$b mount -t tmpfs run /new/run
exec $b switch_root /new /bin/bash "$($b sed -n 's/.*hopspan\.command=\([^ ]*\).*/\1/p' /new/proc/cmdline)"
INIT
    chmod +x "$root/init"
    (cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) > "$cache/initrd.new"
    rm -rf "$root"
    mv "$cache/initrd.new" "$cache/initrd"
}

write_command() {
    local file=$1 modules=$2
    shift 2
    {
        echo 'export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LANG=C.UTF-8'
        echo 'export HOPSPAN_EMULATED=1'
        printf 'export HOPSPAN_REQUIRE_ALL=%q\n' "${HOPSPAN_REQUIRE_ALL:-}"
        echo 'mkdir -p /run/netns /dev/pts /lib/modules'
        printf 'ln -sfn %q "/lib/modules/$(uname -r)"\n' "$modules"
        [ -z "${GUEST_NIC:-}" ] || echo 'modprobe virtio_net'
        echo 'mount -t bpf bpf /sys/fs/bpf; ip link set lo up; echo 0 > /proc/sys/kernel/printk'
        printf 'cd %q; echo GUEST-STARTED\n' "$PWD"
        printf '{ %s; } 2>&1 < /dev/null\n' "$(printf '%q ' "$@")"
        echo 'echo "GUEST-STATUS $?"; sync; echo o > /proc/sysrq-trigger; sleep 60'
    } > "$file"
}

mkdir -p "$cache"
exec 9> "$cache/lock"
flock 9
[ -d "$cache/package" ] || fetch_kernel
modules=$(find_modules)
if [ ! -f "$cache/initrd" ]; then
    [ -f "$modules/modules.dep" ] || depmod -b "${modules%/lib/modules/*}" "$(basename "$modules")"
    build_initial_file_system "$modules"
fi
flock -u 9

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
write_command "$work/command" "$modules" "$@"

start_guest() {
    : > "$work/output"  # there before it is looked into
    # It ends with this script, however that ends: timeout(1) hands the signal on.
    setpriv --pdeathsig TERM timeout "${GUEST_TIMEOUT_S:-2300}" \
        qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 3072 \
        -nographic -no-reboot -monitor none -serial stdio -nic "${GUEST_NIC:-none}" \
        -kernel "$(echo "$cache"/package/boot/vmlinuz-*)" -initrd "$cache/initrd" \
        -append "console=ttyS0 quiet loglevel=1 panic=-1 mitigations=off hopspan.command=$work/command" \
        -virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap \
        < /dev/null > "$work/output" 2>&1 &
    guest=$!
}

# An emulated kernel hangs now and then before it has reached anything of ours; it boots in some five seconds.
for _ in 1 2 3; do
    start_guest
    for _ in {1..240}; do
        if grep -q GUEST-STARTED "$work/output"; then break 2; fi
        if ! kill -0 "$guest" 2> /dev/null; then break; fi
        sleep 0.5
    done
    kill "$guest" 2> /dev/null || true
    wait "$guest" || true
done
wait "$guest" || true
tr -d '\r' < "$work/output" > "$work/console"
sed '1,/GUEST-STARTED$/d; /GUEST-STATUS /,$d' "$work/console"
status=$(sed -n 's/.*GUEST-STATUS //p' "$work/console" | tail -n 1)
exit "${status:-125}"
