#!/bin/sh
# Runs as a unit beside two instances of emotiond@.service, stops, starts and reloads the one, and notes what became of the
# other.
trap 'echo $? >/tmp/w/finished' EXIT

state() { systemctl is-active "emotiond@$1"; }
until_logged() { # INSTANCE WORDS COUNT
    until [ "$(grep -c "$2" "/tmp/w/$1.log")" -ge "$3" ]; do sleep 0.5; done
}
seen() { # WHAT: waits until the host has received what it waits for
    until [ "$(cat /tmp/w/seen 2>/dev/null)" = "$1" ]; do sleep 0.2; done
}
same() { # whether the other instance is still the process that it was
    [ "$(systemctl show --property=MainPID --value emotiond@door)" = "$door" ] && echo "the same door"
}

systemctl start emotiond@hall emotiond@door || exit 1
until_logged hall capturing 1
until_logged door capturing 1
echo "started: hall $(state hall), door $(state door)"
door=$(systemctl show --property=MainPID --value emotiond@door)
seen both

systemctl stop emotiond@hall || exit 1
echo "stopped: hall $(state hall), door $(state door), $(same)"
seen door

systemctl start emotiond@hall || exit 1
until_logged hall capturing 2
echo "started again: hall $(state hall), door $(state door), $(same)"
seen again

systemctl reload emotiond@hall || exit 1
until_logged hall capturing 3
echo "reloaded: hall $(state hall), door $(state door), $(same)"
seen reloaded
echo "state: $(cd /var/lib && echo emotiond*)"
systemctl stop emotiond@hall emotiond@door
