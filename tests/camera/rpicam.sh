#!/bin/sh
# What the virtual machine of scripts/test-units does: runs the installed package under the chroot's own systemd, as the
# first process of a process namespace. In the shared folder: `chroot` (its path on the host), driver.sh, emotiond.toml,
# rpicam-vid (the stand-in) and the picture that it shows.
share=/tmp/w
root=/tmp/root
from=/host$(cat $share/chroot)
mkdir $root && mount -t tmpfs -o mode=755 root $root || exit 1
cd $root || exit 1
mkdir -p dev sys proc run tmp/w root
mount --bind "$from" /mnt 2>/dev/null || { mkdir -p /mnt && mount --bind "$from" /mnt; } || exit 1
cp -a /mnt/etc /mnt/var . || exit 1
mkdir usr && mount --rbind /mnt/usr usr
for folder in bin sbin lib lib64; do cp -d /mnt/$folder .; done
for folder in dev sys; do mount --rbind /$folder $folder; done
mount --bind $share tmp/w
# The system's own units are neither wanted nor quickly read: the package's, and targets.
mkdir /tmp/units && cp /mnt/usr/lib/systemd/system/emotiond* /tmp/units/ || exit 1
for folder in system system-generators; do mount -t tmpfs units usr/lib/systemd/$folder; done
cp /tmp/units/* usr/lib/systemd/system/
for unit in basic sysinit shutdown umount multi-user network-online time-sync sockets; do
    printf '[Unit]\nDefaultDependencies=no\n' >usr/lib/systemd/system/$unit.target
done
echo 0123456789abcdef0123456789abcdef >etc/machine-id
cp $share/emotiond.toml etc/emotiond/
mkdir -p etc/systemd/system/emotiond.service.d "etc/systemd/system/emotiond-rpicam@.service.d"
cat >etc/systemd/system/emotiond.service.d/log.conf <<'END'
[Service]
StandardError=append:/run/emotiond.log
END
# The stand-in, for which alone the folder /run/rpicam is.
cat >etc/systemd/system/emotiond-rpicam@.service.d/stand-in.conf <<'END'
[Service]
ExecStart=
ExecStart=/run/rpicam/rpicam-vid --nopreview --timeout 0 --codec mjpeg --width 640 --height 480 --output -
StandardError=append:/run/rpicam.log
END
cat >etc/systemd/system/driver.service <<'END'
[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
ExecStart=/bin/sh /tmp/w/driver.sh
StandardOutput=append:/tmp/w/driver.log
StandardError=append:/tmp/w/driver.log
END
unshare -p -m -f sh -c "mount -t proc proc proc && mount --move . / && exec chroot . /lib/systemd/systemd --system \
    --unit=driver.service --log-target=console --log-color=no --show-status=no" &
until [ -e $share/finished ]; do sleep 0.2; done
[ "$(cat $share/finished)" = 0 ]
