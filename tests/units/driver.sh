#!/bin/sh
# Runs as a unit beside the package's: what the daemon and the stand-in for rpicam-vid do through faults, a pause, a reload
# and a stop. Any step that does not come within its time ends it with an error.
log=/run/emotiond.log
# shellcheck disable=SC2154
finish() {
    status=$?
    cp $log /run/rpicam.log /tmp/w/ 2>/dev/null
    systemctl list-units --all --no-legend --plain 'emotiond*' >/tmp/w/units
    echo "$status" >/tmp/w/finished
}
trap finish EXIT
now() { cut -d' ' -f1 /proc/uptime; }
say() { echo "$(now) $*"; }
instances() { systemctl list-units --plain --no-legend --state=activating,active,deactivating 'emotiond-rpicam@*' | wc -l; }
within() { # within SECONDS WHAT COMMAND...
    limit=$1 what=$2 count=0
    shift 2
    until "$@"; do
        count=$((count + 1))
        if [ $count -gt $((limit * 2)) ]; then
            say "FAILED: $what"
            exit 1
        fi
        sleep 0.5
    done
    say "$what"
}
logged() { [ "$(grep -c "$1" $log)" -ge "$2" ]; }
running() { [ "$(instances)" = "$1" ]; }

mkdir -p /run/rpicam && cp /tmp/w/rpicam-vid /tmp/w/face.jpg /run/rpicam/ && chmod 755 /run/rpicam /run/rpicam/*
systemd-tmpfiles --create emotiond.conf || exit 1
touch $log /run/rpicam.log
systemctl start emotiond-rpicam.socket || exit 1
[ "$(stat -c '%a %U %G' /run/emotiond/camera)" = "660 root emotiond" ] || exit 1
running 0 || exit 1
say "nobody looks: no rpicam-vid"

systemctl start emotiond || { systemctl status --no-pager emotiond; exit 1; }
within 60 "captures" logged capturing 1
running 1 || exit 1

systemctl kill -s KILL 'emotiond-rpicam@*.service' || exit 1
within 60 "killed: lost" logged 'camera lost' 1
within 60 "killed: back" logged 'camera is back' 1
within 20 "one rpicam-vid again" running 1

# From now on it hangs, and does not obey SIGTERM.
touch /run/rpicam/hang
systemctl kill -s KILL 'emotiond-rpicam@*.service'
within 60 "hangs: lost" logged 'camera lost' 2
sleep 20 # several tries
[ "$(instances)" -le 2 ] || { say "FAILED: $(instances) of them hang"; exit 1; }
rm /run/rpicam/hang
within 90 "hung: back" logged 'camera is back' 2
within 20 "one rpicam-vid, those that hung are gone" running 1

mosquitto_pub -h 127.0.0.1 -p @PORT@ -t emotiond/units/pause/set -m ON || exit 1
within 60 "paused: the camera is off" running 0
mosquitto_pub -h 127.0.0.1 -p @PORT@ -t emotiond/units/pause/set -m OFF || exit 1
within 60 "resumed: the camera is on" running 1

systemctl reload emotiond || exit 1
within 60 "reloaded" logged capturing 5
within 30 "one rpicam-vid after a reload" running 1

systemctl stop emotiond || exit 1
within 30 "stopped: the camera is off" running 0

# Who installs it runs `emotiond setup`: the configuration that was changed is kept, the unit enabled, summaries come.
cp /etc/emotiond/emotiond.toml /run/changed.toml
emotiond setup --yes --site home --camera stream:/run/emotiond/camera --broker 127.0.0.1:@PORT@ --name setup --enable \
    && { say "FAILED: setup replaces a configuration that somebody has changed"; exit 1; }
cmp -s /run/changed.toml /etc/emotiond/emotiond.toml || exit 1
emotiond setup --yes --site home --camera stream:/run/emotiond/camera --broker 127.0.0.1:@PORT@ --name setup --enable \
    --force || { say "FAILED: emotiond setup ended with $?"; exit 1; }
cmp -s /run/changed.toml /etc/emotiond/emotiond.toml.bak || exit 1
systemctl is-enabled --quiet emotiond emotiond-rpicam.socket || exit 1
systemctl is-active --quiet emotiond || exit 1
say "setup: the unit is enabled and runs"
mosquitto_sub -h 127.0.0.1 -p @PORT@ -t emotiond/setup/summary -C 1 -W 60 | grep -q '"dominant":"happiness"' || exit 1
say "setup: a summary with a happy face"
systemctl stop emotiond || exit 1
[ "$(systemctl list-units --failed --no-legend 'emotiond*' | wc -l)" = 0 ] || exit 1
say "nothing has failed"
