#!/bin/bash
# What the arm64 machine of scripts/test-arm64 does once it has booted, as a unit beside the others: installs the package
# from its file, plugs in a virtual camera, answers the questions of `emotiond setup`, and looks at the daemon through an
# unplugged camera, a stop and a second boot. `transcript` in the shared folder tells it, each line with the seconds since
# the machine's start; `figures` has the numbers, `messages` what the broker delivered, `finished` how it ended.
set -u
share=/mnt
seconds() { local up; read -r up _ < /proc/uptime; echo "$up"; }
say() { printf '%8.2f  %s\n' "$(seconds)" "$*" >> $share/transcript; }
figure() { echo "$1=$2" >> $share/figures; }
end() {
  journalctl --boot --no-pager --output short-monotonic -u emotiond > $share/emotiond.log
  echo "$1" > $share/finished
  sync
  systemctl poweroff
  exit "$1"
}
fail() { say "FAILED: $*"; end 1; }
# shown WHAT COMMAND...: the command's output, indented, and how long it took; fails with it.
shown() {
  local what=$1 began status=0
  shift
  began=$(seconds)
  say "$what"
  "$@" > /run/shown 2>&1 < /run/answers || status=$?
  sed 's/^/            | /' /run/shown >> $share/transcript
  [[ $status == 0 ]] || fail "status $status"
  took=$(awk "BEGIN { print $(seconds) - $began }")
}
until_true() { # until_true SECONDS WHAT COMMAND...
  local limit=$1 what=$2 began
  shift 2
  began=$(seconds)
  until "$@"; do
    sleep 0.2
    awk "BEGIN { exit !($(seconds) - $began < $limit) }" || fail "not within $limit s: $what"
  done
  say "$what"
}
property() { systemctl show --property="$1" --value emotiond; }
log() { journalctl --boot --no-pager --output cat -u emotiond; }
logged() { [[ $(log | grep -c -- "$1") -ge $2 ]]; }
# received COUNT WORDS...: whether a summary after the first COUNT messages has all these words.
received() {
  local after=$1 lines
  shift
  lines=$(tail -n "+$((after + 1))" $share/messages | grep '/summary ')
  for words in "$@"; do lines=$(grep -F -- "$words" <<< "$lines"); done
  [[ -n $lines ]]
}
messages() { wc -l < $share/messages; }
of_process() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$(property MainPID)/status"; }
plug() {
  modprobe -a uvcvideo vhci-hcd || fail "no uvcvideo or vhci-hcd"
  cp $share/vuvc /usr/local/bin/
  systemd-run --quiet --unit=camera /usr/local/bin/vuvc /run/camera $share/mjpg || fail "vuvc"
}
subscribe() {
  systemd-run --quiet --unit="subscriber-$1" --property=StandardOutput=append:$share/messages \
    mosquitto_sub -h 127.0.0.1 -F '%U %r %t %p' -t 'emotiond/#' || fail "mosquitto_sub"
  until_true 30 "a subscriber listens to Mosquitto" systemctl is-active --quiet "subscriber-$1"
}

: > /run/answers
systemctl is-system-running --wait > /run/state || [[ $(cat /run/state) == degraded ]] || fail "$(cat /run/state)"
boot=$(systemd-analyze | head -n 1)
[[ ! -e /var/tmp/second-boot ]] || {
  # --- the second boot: nobody does anything ------------------------------------------------------------------------
  say "the machine has booted again: $boot"
  [[ $(property ActiveState) == active ]] || fail "emotiond is $(property ActiveState)"
  before=$(messages)
  subscribe second
  echo mjpg > /run/camera
  plug
  until_true 180 "a happy face, although nobody has logged in" received "$before" '"dominant":"happiness"'
  shown "apt purge emotiond" apt-get -y purge emotiond
  [[ ! -e /usr/bin/emotiond && ! -e /etc/emotiond && ! -e /var/lib/emotiond ]] || fail "something is left"
  ! getent passwd emotiond > /dev/null || fail "the user is left"
  end 0
}

# --- the first boot: docs/guides/raspberry-pi.md --------------------------------------------------------------------
say "$boot"
say "$(uname -srm), $(sed -n 's/^PRETTY_NAME="\(.*\)"/\1/p' /etc/os-release), systemd $(systemctl --version | awk 'NR == 1 { print $2 }'), \
C library $(ldd --version | awk 'NR == 1 { print $NF }'), $(awk '/MemTotal/ { print int($2 / 1024) }' /proc/meminfo) MiB, $(nproc) cores"
figure boot "$(seconds)"
began=$(seconds)
cp $share/emotiond.deb /root/
cd /root || fail "no /root"
shown "apt install ./emotiond.deb" apt-get -y install ./emotiond.deb
systemctl is-enabled --quiet emotiond && fail "installing enables the unit"
figure install "$(awk "BEGIN { print $(seconds) - $began }")"

echo mjpg > /run/camera
plug
until_true 60 "a camera is plugged in: /dev/video0" test -c /dev/video0
udevadm settle
shown "emotiond cameras" emotiond cameras
grep -q 'emotiond takes 640×480 MJPG' /run/shown || fail "the camera is not usable"
: > $share/messages
subscribe first

# Site, camera, broker, name, Home Assistant, start it: the first offers and the defaults.
printf 'home\n\n\n\n\nyes\n' > /run/answers
shown "emotiond setup" emotiond setup
: > /run/answers
grep -q 'v4l2:/dev/v4l/by-id/usb' /run/shown || fail "setup does not offer the camera by its id"
grep -qi 'landlock' /run/shown || fail "check says nothing of Landlock"
[[ $(property ActiveState) == active && $(systemctl is-enabled emotiond) == enabled ]] || fail "setup did not start the unit"
ready=$(awk "BEGIN { print ($(property ActiveEnterTimestampMonotonic) - $(property ExecMainStartTimestampMonotonic)) / 1e6 }")
say "the process was ready $ready s after its start"
figure ready "$ready"
until_true 180 "the first summary" received 0 '"sequence":'
figure first "$(awk "BEGIN { print $(seconds) - $began }")"
until_true 180 "a happy face" received 0 '"dominant":"happiness"'
shown "emotiond watch --count 1" timeout 120 emotiond watch --count 1

# --- what it runs under ---------------------------------------------------------------------------------------------
[[ $(of_process Seccomp) == 2 && $(of_process NoNewPrivs) == 1 && $(of_process CapEff) == 0000000000000000 ]] ||
  fail "not confined: $(grep -E 'Seccomp|NoNewPrivs|Cap' "/proc/$(property MainPID)/status")"
log | grep 'confined: ' > /run/confined || fail "the log does not say that it is confined"
grep -q Landlock /run/confined || fail "no Landlock: $(cat /run/confined)"
say "/proc/PID/status: Seccomp: $(of_process Seccomp), filters $(of_process Seccomp_filters), NoNewPrivs: $(of_process NoNewPrivs), CapEff: 0"
say "$(cat /run/confined)"

# --- unplugged, and plugged in again --------------------------------------------------------------------------------
before=$(messages)
echo unplugged > /run/camera
until_true 60 "unplugged: $(basename /dev/video0) goes" test ! -e /dev/video0
until_true 60 "'camera lost' in the log" logged 'camera lost' 1
until_true 90 "a window that claims nothing" received "$before" '"camera":"lost"' '"faces":null'
before=$(messages)
echo mjpg > /run/camera
until_true 90 "plugged in: 'camera is back'" logged 'camera is back' 1
until_true 120 "a happy face again" received "$before" '"camera":"ok"' '"dominant":"happiness"'

memory=$(of_process VmRSS) peak=$(of_process VmHWM)
say "resident: $memory, at most $peak, of which locked $(of_process VmLck); $(of_process Threads) threads"
figure resident "${memory% kB}"
figure peak "${peak% kB}"

# --- every failed call of its own, under strace ---------------------------------------------------------------------
cp $share/mjpg/0.jpg /run/face.jpg
cat > /run/traced.toml << 'TOML'
site = "home"
device = "traced"
[camera]
source = "replay:/run/face.jpg"
[summary]
window = "2s"
[mqtt]
url = "mqtt://localhost:1883"
TOML
before=$(messages)
systemd-run --quiet --unit=traced --uid=emotiond --property=StandardError=append:/run/traced.log \
  strace -f -qq -e status=failed -o /tmp/calls emotiond run --config /run/traced.toml || fail "strace"
until_true 180 "a daemon under strace publishes" received "$before" 'emotiond/traced/summary'
systemctl stop traced
grep -q 'confined: Landlock' /run/traced.log || fail "the traced daemon is not confined: $(cat /run/traced.log)"
cp /tmp/calls $share/calls
say "its calls that were refused or unknown:"
grep -E 'EPERM|ENOSYS|EACCES' /tmp/calls | sed 's/^[0-9]* *//; s/(.*) *= -1 */ /' | sort | uniq -c |
  sed 's/^/            | /' >> $share/transcript

# --- stopped --------------------------------------------------------------------------------------------------------
before=$(messages)
until_true 60 "a window is closed, and the next begins" received "$before" 'emotiond/pi/summary'
sleep 4 # into that
before=$(messages)
date +%s.%N > $share/stopped
shown "systemctl stop emotiond" systemctl stop emotiond
say "stopped after $took s: $(property Result), exit status $(property ExecMainStatus)"
[[ $(property Result) == success && $(property ExecMainStatus) == 0 ]] || fail "it did not end well"
until_true 20 "the last window, closed by the stop, was published" received "$before" '"sequence":'
until_true 20 "and 'offline'" grep -q '/status offline' $share/messages
figure stop "$took"

# --- libcamera in the place of rpicam-vid, which Debian does not have ------------------------------------------------
# libcamera takes no USB camera whose controller no firmware describes, as the virtual one's: so it makes a camera itself, of
# the same picture. Its raw frames come through GStreamer, because Debian's `cam` writes none of that camera.
if command -v gst-launch-1.0 > /dev/null; then
  cp $share/face.jpg /run/
  mkdir -p /usr/share/libcamera/pipeline/virtual
  cat > /usr/share/libcamera/pipeline/virtual/virtual.yaml << 'YAML'
"face":
  supported_formats:
  - width: 640
    height: 480
    frame_rates:
    - 5
    - 5
  frames:
    path: "/run/face.jpg"
  location: "CameraLocationFront"
  model: "face"
YAML
  cat > /run/libcamera.toml << 'TOML'
site = "home"
device = "libcamera"
[camera]
source = "stream:/run/libcamera"
format = "nv12"
width = 640
height = 480
timeout = "30s"
[summary]
window = "2s"
[mqtt]
url = "mqtt://localhost:1883"
TOML
  mkfifo -m 666 /run/libcamera
  before=$(messages)
  systemd-run --quiet --unit=frames --setenv=HOME=/root --property=StandardOutput=append:/run/frames.log \
    --property=StandardError=append:/run/frames.log gst-launch-1.0 libcamerasrc ! \
    video/x-raw,format=NV12,width=640,height=480 ! filesink buffer-mode=unbuffered location=/run/libcamera ||
    fail "gst-launch-1.0"
  systemd-run --quiet --unit=libcamera --uid=emotiond --property=StandardError=append:/run/libcamera.log \
    emotiond run --config /run/libcamera.toml || fail "systemd-run"
  until_true 120 "raw frames of libcamera: a happy face" received "$before" 'emotiond/libcamera/summary' '"dominant":"happiness"'
  grep -hE 'libcamera v|configuring|capturing' /run/frames.log /run/libcamera.log |
    sed 's/\x1b\[[0-9;]*m//g; s/^/            | /' >> $share/transcript
  systemctl stop libcamera frames
fi

# --- the unit tests of crates/core ----------------------------------------------------------------------------------
cp $share/core-tests /root/
# One of them reads the schema where the source was when it was built.
repository=$(cat $share/repository)
mkdir -p "$repository"/{crates/core,docs}
cp $share/summary.schema.json "$repository/docs/"
shown "unit tests of crates/core" ./core-tests --quiet
figure core "$took"
figure tests "$(sed -n 's/^test result: ok. \([0-9]*\) passed.*/\1/p' /run/shown)"

touch /var/tmp/second-boot
journalctl --boot --no-pager --output short-monotonic -u emotiond > $share/emotiond-first.log
sync
systemctl reboot
