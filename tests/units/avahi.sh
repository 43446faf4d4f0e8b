#!/bin/bash
# avahi.sh ROOT: does `emotiond setup` find a broker that a real Avahi announces? Two network namespaces with a cable between
# them and no default route: in one the avahi-daemon of ROOT announces _mqtt._tcp; ROOT's emotiond asks in the other, then in
# the same. To be started in a network and a mount namespace of its own. Prints what setup asked; the status is that of the
# search in it.
set -euo pipefail
root=$1
mount --make-rprivate /
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
mount -t tmpfs run "$root/run"
mkdir -p "$root/run/avahi-daemon" "$root/etc/avahi/services"
cat > "$root/etc/avahi/services/mqtt.service" << 'XML'
<service-group><name>Mosquitto</name><service><type>_mqtt._tcp</type><port>1883</port></service></service-group>
XML
printf '[server]\nhost-name=broker\nuse-ipv6=no\nenable-dbus=no\n[rlimits]\n' > "$root/etc/avahi/test.conf"

unshare --net sleep 60 &
other=$!
trap 'kill $other' EXIT
until [[ $(readlink /proc/$other/ns/net) != $(readlink /proc/self/ns/net) ]]; do sleep 0.1; done
there() { nsenter --target $other --net "$@"; }
ip link add here type veth peer name there netns $other
ip addr add 192.0.2.1/24 dev here
ip link set here up
there ip link set lo up # by which a machine reaches its own addresses
there ip addr add 192.0.2.2/24 dev there
there ip link set there up
there chroot "$root" avahi-daemon --file /etc/avahi/test.conf --no-drop-root --no-chroot --no-rlimits > "$root/run/avahi.log" 2>&1 &
daemon=$!
trap 'kill $daemon $other' EXIT
for _ in $(seq 100); do
  ! grep -q 'successfully established' "$root/run/avahi.log" || break
  sleep 0.1
done
# Site and camera; of the brokers nothing that exists is chosen, because nobody is to be asked here.
for machine in env there; do
  printf 'home\n\n' | $machine chroot "$root" emotiond setup --config /run/setup.toml > "$root/run/asked" 2>&1 || true
  cat "$root/run/asked"
  grep -q 'mqtt://192.0.2.2:1883  (announces itself' "$root/run/asked" || { cat "$root/run/avahi.log" >&2; exit 1; }
done
