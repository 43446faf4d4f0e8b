#!/bin/sh
# What the camera test's virtual machine does: plugs in the virtual camera, lists the cameras, and runs the daemon until the
# host creates the file `end`. In the shared folder: `installed` (programs, library and models as they are installed),
# `mjpg` and `yuyv` (frames), `state` (what the camera is to do) and emotiond.toml; it adds what the programs wrote.
share=/tmp/w
# The host's /tmp is not to be seen here, and the project may lie there.
cp -r $share/installed /tmp/installed || exit 1
modprobe uvcvideo && modprobe vhci-hcd || exit 1
programs=/tmp/installed/bin

chroot /host $programs/vuvc $share/state $share/mjpg $share/yuyv &
until [ -e /dev/video0 ] && [ -e /dev/video1 ]; do sleep 0.1; done
chroot /host $programs/emotiond cameras >$share/cameras.txt || exit 1
chroot /host $programs/emotiond cameras --json >$share/cameras.json || exit 1

chroot /host $programs/emotiond run --config $share/emotiond.toml 2>$share/emotiond.log &
daemon=$!
while [ ! -e $share/end ] && kill -0 $daemon; do sleep 0.2; done
kill -TERM $daemon
wait $daemon
status=$?
echo "emotiond ended with $status"
exit $status
