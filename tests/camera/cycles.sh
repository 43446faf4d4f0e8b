#!/bin/sh
# What the virtual machine does to pull the camera out and plug it in again a hundred times. Each time it waits until the
# daemon has lost the camera, and until it captures again; then it notes what the daemon holds:
# cycle, open files, kB resident, memory mappings, threads.
share=/tmp/w
work=/tmp/work
mkdir $work
cp -r $share/installed /tmp/installed || exit 1
modprobe uvcvideo && modprobe vhci-hcd || exit 1
programs=/tmp/installed/bin

echo mjpg >$work/state
chroot /host $programs/vuvc $work/state $share/mjpg >/dev/null &
until [ -e /dev/video0 ]; do sleep 0.05; done
chroot /host $programs/emotiond run --config $share/emotiond.toml 2>$work/log &
daemon=$!
# A test on the host looks at what it can read.
(while kill -0 $daemon; do cp $work/log $share/emotiond.log; sleep 1; done 2>/dev/null) &

until_logged() { # WORDS COUNT
    until [ "$(grep -c "$1" $work/log)" -ge "$2" ]; do
        kill -0 $daemon || exit 1
        sleep 0.05
    done
}
until_logged capturing 1
for cycle in $(seq 100); do
    echo unplugged >$work/state
    until_logged "camera lost" "$cycle"
    echo mjpg >$work/state
    until_logged "camera is back" "$cycle"
    set -- /proc/$daemon/fd/*
    files=$#
    set -- /proc/$daemon/task/*
    echo "$cycle $files $(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' /proc/$daemon/status)" \
        "$(wc -l </proc/$daemon/maps) $#" >>$share/held
done
while [ ! -e $share/end ] && kill -0 $daemon; do sleep 0.2; done
kill -TERM $daemon
wait $daemon
status=$?
cp $work/log $share/emotiond.log
echo "emotiond ended with $status"
exit $status
