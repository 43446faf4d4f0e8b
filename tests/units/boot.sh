#!/bin/bash
# boot.sh ROOT SHARE: becomes the systemd of ROOT, which runs SHARE/driver.sh as a unit; SHARE is at /tmp/w there. To be
# started in namespaces of its own (processes, mounts, host name, IPC, control groups), so that this machine is not touched.
set -euo pipefail
root=$1 share=$2
mount --make-rprivate /
mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
for device in null:3 zero:5 full:7 random:8 urandom:9; do mknod -m 666 "dev/${device%:*}" c 1 "${device#*:}"; done
mkdir dev/shm
mount -t tmpfs tmpfs dev/shm
mount -t tmpfs -o mode=755 tmpfs run
mkdir -p tmp/w
mount --bind "$share" tmp/w
# The system's own units are neither wanted nor quickly read: the package's, and targets.
mkdir tmp/units
mount -t tmpfs units tmp/units
cp usr/lib/systemd/system/emotiond* tmp/units
for unit in basic sysinit shutdown umount multi-user network-online time-sync sockets; do
  printf '[Unit]\nDefaultDependencies=no\n' > tmp/units/$unit.target
done
mount --bind tmp/units usr/lib/systemd/system
mount -t tmpfs units usr/lib/systemd/system-generators
cp "$share/driver.service" etc/systemd/system/
for drop_in in emotiond.service emotiond-rpicam@.service; do
  mkdir -p "etc/systemd/system/$drop_in.d"
  cp "$share/$drop_in.conf" "etc/systemd/system/$drop_in.d/test.conf"
done
cp "$share/emotiond.toml" etc/emotiond/
echo 0123456789abcdef0123456789abcdef > etc/machine-id
# Moved to where the root is: from within a mere chroot the kernel makes no user namespace (PrivateUsers=). `container`
# keeps systemd from what only a machine's first process may do.
cd "$root"
mount --move . /
exec env -i container=emotiond-test PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot . /lib/systemd/systemd --system \
  --unit=driver.service --log-target=console --log-color=no --show-status=no
