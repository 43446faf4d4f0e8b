"""The real emotiond in the fleet: it records what the simulated devices send, and is one of the devices."""

import json
import random
import shutil
import signal
import struct
import subprocess
import time
import zlib

from cluster import ROOT, Failed, wait

DEVICE = "real-door"
FPS = 4


def noise(path):
    """A picture that shows something, and nobody."""
    size, dice = 256, random.Random(1)
    rows = b"".join(b"\0" + bytes(dice.choices(range(256), k=size)) for _ in range(size))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", size, size, 8, 0, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)


def pictures(folder, seconds):
    """A face for seven seconds, nobody for nineteen, and so on: some windows have somebody, some nobody, some both."""
    folder.mkdir()
    face, nobody = folder / "face", folder / "nobody"
    shutil.copy(ROOT / "tests/data/astronaut.png", face)
    noise(nobody)
    for number in range(int(seconds * FPS)):
        (folder / f"{number:06}.png").hardlink_to(face if number / FPS % 26 < 7 else nobody)
    face.unlink()
    nobody.unlink()
    return folder


def record(program, folder):
    """Summaries of 10 s each, as emotiond writes them."""
    source = pictures(folder / "recording", 260)
    config = folder / "record.toml"
    config.write_text(f'site = "retail"\ndevice = "template"\n[camera]\nsource = "replay:{source}"\n'
                      f'replay_fps = {FPS}.0\n')
    result = subprocess.run([program, "run", "--config", config, "--publish", "stdout"], text=True, capture_output=True,
                            cwd=ROOT)
    templates = [json.loads(line) for line in result.stdout.splitlines()]
    if len(templates) < 10 or not any(summary["expression"] for summary in templates):
        raise Failed(f"emotiond recorded {len(templates)} summaries: {result.stderr}")
    (folder / "templates.json").write_text(json.dumps(templates))
    return templates


class Emotiond:
    """emotiond as `provision` sets it up: its own password, TLS, the fleet's authority."""

    def __init__(self, fleet):
        self.fleet = fleet
        fleet.provision("--site", "shop-real", "--location", "door", "--output", fleet.folder / "devices", DEVICE)
        home = fleet.folder / "devices" / DEVICE
        source = pictures(fleet.folder / "pictures", 900)
        (fleet.folder / "state").mkdir()
        toml = (home / "emotiond.toml").read_text()
        for path, here in (("/run/credentials/emotiond.service/mqtt-password", home / "mqtt-password"),
                           ("/etc/emotiond/fleet-ca.pem", fleet.ca)):
            assert path in toml
            toml = toml.replace(path, str(here))
        toml = toml.replace("[mqtt]\n", f'[mqtt]\nstate_directory = "{fleet.folder}/state"\n')
        self.config = fleet.folder / "emotiond.toml"
        self.config.write_text(f'site = "retail"\n{toml}[camera]\nsource = "replay:{source}"\nreplay_fps = {FPS}.0\n'
                               '[summary]\nwindow = "2s"\n')

    def start(self):
        check = subprocess.run([self.fleet.emotiond_program, "check", "--config", self.config], text=True,
                               capture_output=True, cwd=ROOT)
        if "\nok       broker " not in check.stdout:
            raise Failed(f"emotiond check does not like the broker: {check.stdout}{check.stderr}")
        self.fleet.processes.start("emotiond", [self.fleet.emotiond_program, "run", "--config", self.config])
        self.started = time.time()
        wait("emotiond's summaries are in the table", 60, self.rows)

    def rows(self):
        return self.fleet.query("SELECT boot, sequence, body FROM emotiond.summaries WHERE device = %s ORDER BY start",
                                DEVICE)

    def node(self, rabbitmq):
        """The number of the node to which emotiond is connected."""
        for line in rabbitmq.ctl("list_mqtt_connections", "client_id", "port").splitlines():
            client, port = line.split("\t")
            if client == f"emotiond-{DEVICE}":
                return rabbitmq.mqtt.index(int(port)) + 1
        return None

    def stop(self):
        """Ends it as systemd does: the open window is closed and published."""
        self.fleet.processes.signal("emotiond", signal.SIGTERM)
        self.stopped = time.time()

    def check(self):
        """Every window from its start to its stop, without a gap: their number."""
        rows = self.rows()
        numbers = [sequence for _, sequence, _ in rows]
        if len({boot for boot, _, _ in rows}) != 1 or numbers != list(range(1, len(rows) + 1)):
            raise Failed(f"emotiond's windows in the table are not those of one run without gaps: {numbers}")
        for (_, _, one), (_, number, next_one) in zip(rows, rows[1:]):
            if one["window"]["end"] != next_one["window"]["start"]:
                raise Failed(f"there is a hole before emotiond's window {number}")
        # The source is opened within some seconds of the start.
        span = sum(body["window"]["seconds"] for _, _, body in rows)
        if span < self.stopped - self.started - 10:
            raise Failed(f"emotiond ran for {self.stopped - self.started:.0f} s, and its windows are of {span:.0f} s")
        return len(rows)
