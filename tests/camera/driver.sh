#!/bin/sh
# Runs as a unit beside the daemon's, makes its calls hang, kills it, breaks its configuration, and notes what systemd
# makes of that. The log on standard output has the moments, in seconds since the start of the machine.
log=/run/emotiond.log
finish() {
    cp $log /tmp/w/
    echo "$1" >/tmp/w/finished
}
trap 'finish $?' EXIT

now() { cut -d' ' -f1 /proc/uptime; }
of() { systemctl show --property="$1" --value emotiond; }
until_logged() { # WORDS COUNT
    until [ "$(grep -c "$1" $log)" -ge "$2" ]; do sleep 0.5; done
}
until_dead() { # PID
    while kill -0 "$1" 2>/dev/null; do sleep 0.2; done
    now
}
until_running() { # waits until there is a main process that is not being waited for
    until [ "$(of MainPID)" -gt 0 ]; do sleep 0.2; done
    now
}
seen() { # WHAT: waits until the host has received a summary with a face in it
    until [ "$(cat /tmp/w/seen 2>/dev/null)" = "$1" ]; do sleep 0.2; done
}

: >/run/fault
systemctl start emotiond || exit 1
until_logged capturing 1
echo "started: $(of ActiveState) $(of SubState), restarts $(of NRestarts)"
systemctl reload emotiond || exit 1
until_logged capturing 2
seen start
echo "reloaded: $(of ActiveState) $(of SubState), restarts $(of NRestarts)"

captured=2
for fault in invoke dequeue kill; do
    captured=$((captured + 1))
    pid=$(of MainPID)
    if [ $fault = kill ]; then
        began=$(now)
        kill -KILL "$pid"
    else
        printf %s $fault >/run/fault
        until_logged "fault: .* hangs" $((captured - 2))
        began=$(sed -n 's/^fault: .* hangs at //p' $log | tail -n 1)
    fi
    echo "$fault began: $began"
    echo "$fault ended: $(until_dead "$pid")"
    : >/run/fault
    echo "$fault again: $(until_running)"
    until_logged capturing $captured
    echo "restarted: $(of ActiveState) $(of SubState), restarts $(of NRestarts)"
    seen $fault
done

echo 'colour = "red"' >>/etc/emotiond/emotiond.toml
systemctl restart emotiond
echo "misconfigured: $(of ActiveState) $(of SubState), $(of Result) $(of ExecMainStatus), restarts $(of NRestarts)"
