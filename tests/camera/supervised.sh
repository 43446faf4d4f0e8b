#!/bin/sh
# What the virtual machine does to run the daemon under the host's own systemd, as the first process of a process namespace,
# on a root of its own: the host's programs, read-only, and of units only the daemon's and those named here.
# The units are those that are shipped; the drop-ins `UNIT.conf` say where things are. `driver.sh` runs as a unit too. With
# a file `state2` there is a second camera.
share=/tmp/w
root=/tmp/root
cp -r $share/installed /tmp/installed || exit 1
modprobe uvcvideo && modprobe vhci-hcd || exit 1

mkdir $root && mount -t tmpfs -o mode=755 root $root || exit 1
cd $root || exit 1
mkdir -p dev sys proc etc/systemd/system etc/emotiond opt run tmp/w var/lib var/tmp root
for folder in usr bin sbin lib lib64; do
    if [ -L /host/$folder ]; then
        cp -d /host/$folder .
    elif [ -d /host/$folder ]; then
        mkdir $folder && mount --rbind /host/$folder $folder
    fi
done
for folder in dev sys; do mount --rbind /$folder $folder; done
mount --bind $share tmp/w
# The host's units are neither wanted nor quickly read.
for folder in system system-generators; do mount -t tmpfs units usr/lib/systemd/$folder; done
for unit in basic sysinit shutdown umount multi-user network-online time-sync; do
    printf '[Unit]\nDefaultDependencies=no\n' >usr/lib/systemd/system/$unit.target
done
(cd /host/etc && cp passwd group nsswitch.conf ld.so.cache $root/etc/)
echo 0123456789abcdef0123456789abcdef >etc/machine-id
mv /tmp/installed opt/emotiond
[ ! -e $share/preload.so ] || cp $share/preload.so opt/emotiond/
cp $share/*.toml etc/emotiond/
cp $share/*.service etc/systemd/system/
for drop_in in "$share"/*.service.conf; do
    folder=etc/systemd/system/$(basename "$drop_in" .conf).d
    mkdir "$folder" && cp "$drop_in" "$folder/"
done
chroot . systemd-sysusers /tmp/w/emotiond.sysusers.conf || exit 1

mount --bind opt /host/opt
chroot /host /opt/emotiond/bin/vuvc $share/state $share/mjpg &
cameras=/dev/video0
if [ -e $share/state2 ]; then
    VUVC_PORT=1 chroot /host /opt/emotiond/bin/vuvc $share/state2 $share/mjpg &
    cameras="$cameras /dev/video2" # each camera has a node for metadata too
fi
for camera in $cameras; do
    until [ -e "$camera" ]; do sleep 0.1; done
    # As udev has it on a real system.
    chgrp "$(sed -n 's/^video:[^:]*:\([0-9]*\):.*/\1/p' /host/etc/group)" "$camera" && chmod 660 "$camera" || exit 1
done

# Moved to where the root is: from within a mere chroot the kernel makes no user namespace (PrivateUsers=).
unshare -p -m -f sh -c "mount -t proc proc proc && mount --move . / && exec chroot . /lib/systemd/systemd --system \
    --unit=driver.service --log-target=console --log-color=no --show-status=no" &
until [ -e $share/finished ]; do sleep 0.2; done
[ "$(cat $share/finished)" = 0 ]
