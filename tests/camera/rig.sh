#!/bin/bash
# Boots Debian's kernel in QEMU, under KVM where that works, and runs a script in it that finds a USB/IP host controller
# and the uvcvideo driver. The host's files are at /host, read-only; SHARE is at /tmp/w, writable; 10.0.2.100:1883 leads to
# PORT on the host's loopback, and nothing leads anywhere else.
#
#   rig.sh prepare                     fetches the kernel (70 MB, once) and builds the initial RAM disk
#   rig.sh run SHARE SCRIPT PORT LIMIT runs SHARE/SCRIPT for at most LIMIT seconds; the status is the script's
#
# Kept in $CAMERA_RIG_CACHE, by default .cache/camera-rig of the repository.
set -euo pipefail

repository=$(cd "$(dirname "$0")/../.." && pwd)
cache=${CAMERA_RIG_CACHE:-$repository/.cache/camera-rig}
case $(uname -m) in
x86_64) arch=amd64 console=ttyS0 qemu="qemu-system-x86_64 -M q35" cpu=max,-arch-capabilities ;;
aarch64) arch=arm64 console=ttyAMA0 qemu="qemu-system-aarch64 -M virt" cpu=max ;;
*) echo "rig.sh: no virtual machine for $(uname -m)" >&2 && exit 1 ;;
esac

need() {
    for tool in "$@"; do
        command -v "$tool" >/dev/null || PATH=$PATH:/usr/sbin command -v "$tool" >/dev/null || {
            echo "rig.sh: $tool is missing; scripts/setup installs it" >&2
            exit 1
        }
    done
}

prepare() {
    # Built once, and again if what it starts with has changed.
    ! [ -e "$cache/initrd.gz" ] || ! cmp -s "$repository/tests/camera/init" "$cache/init" || return 0
    need apt-get dpkg-deb busybox cpio depmod modprobe
    local work package kernel root module
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/build.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    cd "$work"
    # The package that names the current kernel, never a version of our own.
    package=$(apt-cache depends "linux-image-$arch" 2>/dev/null |
        sed -n 's/.*Depends: \(linux-image-[0-9][^ :]*\).*/\1/p' | head -1)
    [ -n "$package" ] || {
        echo "rig.sh: apt knows no linux-image-$arch; this test needs Debian's kernel package (try apt-get update)" >&2
        exit 1
    }
    echo "rig.sh: fetching $package for the virtual machine" >&2
    apt-get download -q "$package" >&2
    dpkg-deb --fsys-tarfile "$package"*.deb | tar x ./boot ./lib/modules
    kernel=$(ls lib/modules)
    find lib/modules -name '*.ko.xz' -exec unxz {} +
    PATH=$PATH:/usr/sbin depmod -b . "$kernel"

    root=$work/root
    mkdir -p "$root"/{bin,dev,proc,sys,tmp,host,"lib/modules/$kernel"}
    cp "$(command -v busybox)" "$root/bin/busybox"
    for module in virtio_pci virtio_net 9pnet_virtio 9p uvcvideo vhci-hcd; do
        PATH=$PATH:/usr/sbin modprobe -d . -S "$kernel" --show-depends "$module"
    done | sed -n 's#^insmod .*\(lib/modules/[^ ]*\).*#\1#p' | sort -u | xargs cp --parents -t "$root"
    cp "lib/modules/$kernel"/modules.{order,builtin,builtin.modinfo} "$root/lib/modules/$kernel/"
    PATH=$PATH:/usr/sbin depmod -b "$root" "$kernel"
    cp "$repository/tests/camera/init" "$root/init"
    chmod +x "$root/init"
    (cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >initrd.gz
    mv "boot/vmlinuz-$kernel" "$cache/vmlinuz"
    mv initrd.gz "$cache/initrd.gz"
    cp root/init "$cache/init"
    cd "$cache" && rm -rf "$work"
    trap - EXIT
}

# KVM where a machine boots under it within 20 s, else emulation: /dev/kvm is there and of no use in many a nested machine.
choose_accelerator() {
    [ ! -e "$cache/accelerator" ] || return 0
    local share
    share=$(mktemp -d)
    echo true >"$share/nothing"
    if [ -w /dev/kvm ] && boot kvm "$share" nothing 1 20 >/dev/null 2>&1 &&
        grep -q 'GUEST script ended with 0' "$share/console.log"; then
        echo kvm >"$cache/accelerator"
    else
        echo tcg,thread=multi >"$cache/accelerator"
    fi
    rm -rf "$share"
}

boot() {
    local accelerator=$1 share=$2 script=$3 port=$4 limit=$5
    # In the foreground, so that a Ctrl-C ends it too.
    # shellcheck disable=SC2086
    timeout --foreground -k 5 "$limit" $qemu -accel "$accelerator" -cpu "$cpu" -smp 2 -m 1024 \
        -display none -no-reboot -nodefaults -serial stdio -pidfile "$share/qemu.pid" \
        -kernel "$cache/vmlinuz" -initrd "$cache/initrd.gz" \
        -append "console=$console panic=-1 quiet mitigations=off script=$script" \
        -fsdev "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap" \
        -device virtio-9p-pci,fsdev=host,mount_tag=host \
        -fsdev "local,id=share,path=$share,security_model=none" \
        -device virtio-9p-pci,fsdev=share,mount_tag=share \
        -netdev "user,id=net,restrict=on,guestfwd=tcp:10.0.2.100:1883-cmd:$(command -v busybox) nc 127.0.0.1 $port" \
        -device virtio-net-pci,netdev=net,romfile= </dev/null | tee "$share/console.log"
}

run() {
    need "${qemu%% *}" busybox
    choose_accelerator
    boot "$(cat "$cache/accelerator")" "$@"
    # The machine itself always ends well; the guest's last line says how the script did.
    grep -q 'GUEST script ended with 0' "$1/console.log"
}

case ${1:-} in
prepare) prepare ;;
run)
    prepare
    run "$2" "$3" "$4" "$5"
    ;;
*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" && exit 2 ;;
esac
