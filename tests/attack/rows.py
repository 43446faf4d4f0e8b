"""The attacks, a function a row: whether the row holds, and what was measured."""

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections import Counter
from datetime import datetime
from pathlib import Path

import inputs
import page
from target import PHOTO, PROGRAM, ROOT, Client, Daemon, configuration, free_port, publish, run

#: What a refused input may take, MiB: the daemon as a whole has 60 with its models open.
SMALL = 100
#: What a picture may take, MiB. SECURITY.md names the figure.
PICTURE = 300


def broker_flood(folder, seconds):
    """200 clients, 50,000 topics, stalled subscribers, malformed packets, all at once, beside three honest ones."""
    environment = os.environ | {"EMOTIOND_ATTACK_SECONDS": str(seconds), "EMOTIOND_ATTACKED": str(PROGRAM)}
    test = subprocess.run(
        ["cargo", "test", "--locked", "--test", "embedded", "--", "--ignored", "--nocapture", "it_holds"],
        cwd=ROOT, env=environment, capture_output=True, text=True)
    found = [line for line in test.stderr.splitlines() if "MiB resident" in line and "everything" in line]
    if test.returncode != 0 or len(found) != 2:
        return False, test.stderr[-2000:] + test.stdout[-2000:]
    return True, "; ".join(found)


def attempts(folder, publish, mqtt):
    """What code inside the confined daemon can do: names of attempts that came to something, and how many were made."""
    library = Path(folder) / "inside.so"
    if not library.exists():
        source = ROOT / "tests/support/inside.c"
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    config = configuration(folder, mqtt)
    (Path(folder) / "state/file").write_text("")
    path = Path(folder) / "socket"
    path.unlink(missing_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as elsewhere, socket.socket(socket.AF_UNIX) as local:
        local.bind(str(path))
        local.listen()
        other = subprocess.Popen(["sleep", "600"])
        try:
            outcome = run(
                "run", "--publish", publish, "--source", f"replay:{PHOTO}", "--config", config,
                LD_PRELOAD=str(library), INSIDE="attempts", INSIDE_PORT=str(elsewhere.getsockname()[1]),
                INSIDE_SOCKET=str(path), INSIDE_FILE=str(Path(folder) / "state/file"), INSIDE_PROCESS=str(other.pid))
        finally:
            other.kill()
            other.wait()
    made = [line.split() for line in outcome.err.splitlines() if line.startswith("attempt ")]
    if len(made) < 50:
        raise RuntimeError(f"only {len(made)} attempts were made: {outcome.err[-500:]}")
    return {name for _, name, result in made if result == "ok"}, len(made)


NETWORK = ("mptcp", "tcp-connect", "tcp-fastopen", "tcp-bind", "listen-unbound", "udp", "raw", "packet", "vsock", "alg")
#: What every configuration needs: threads that wake each other, one's own limits, signals to oneself.
OWN = {"unix-stream-pair", "prlimit-own-read", "signal-self"}
RESOLVING = {"udp-socket", "udp-send", "netlink-route-socket"}
#: What names of multicast DNS take besides: Avahi's socket.
MULTICAST = {"unix-stream-socket", "unix-connect"}


def doors(folder):
    """All attempts with each kind of broker."""
    return {
        "by address": attempts(folder, "mqtt", f'url = "mqtt://127.0.0.1:{free_port()}"'),
        "by name": attempts(folder, "mqtt", f'url = "mqtt://localhost:{free_port()}"'),
        "by a .local name": attempts(folder, "mqtt", f'url = "mqtt://emotiond-test.local:{free_port()}"'),
        "embedded": attempts(folder, "mqtt", f'listen = "127.0.0.1:{free_port()}"'),
        "none": attempts(folder, "stdout", 'url = "mqtt://localhost"'),
    }


def f2_ports(folder):
    found = doors(folder)
    open_doors = {
        kind: sorted(name for name in opened if name.startswith(NETWORK)) for kind, (opened, _) in found.items()}
    holds = open_doors == {
        "by address": [], "by name": ["udp-send", "udp-socket"], "by a .local name": ["udp-send", "udp-socket"],
        "embedded": [], "none": []}
    text = "; ".join(f"broker {kind}: {', '.join(names) or 'none'}" for kind, names in open_doors.items())
    return holds, f"ways past the ports of TCP, and UDP: {text}"


def f3_unix(folder):
    found = doors(folder)
    reached = [kind for kind, (opened, _) in found.items() if "unix-connect" in opened]
    return reached == ["by a .local name"], f"any Unix socket can be connected to with a broker: {', '.join(reached) or 'none'}"


def f4_others(folder):
    found = doors(folder)
    allowed = OWN | RESOLVING | MULTICAST | {"tcp-socket"}
    beyond = {kind: sorted(opened - allowed) for kind, (opened, _) in found.items()}
    made = sum(count for _, count in found.values())
    open_doors = {name for names in beyond.values() for name in names}
    return not open_doors, f"{made} attempts with five configurations; open: {', '.join(sorted(open_doors)) or 'none'}"


def f5_pause(folder):
    port = free_port()
    config = configuration(folder, f'listen = "127.0.0.1:{port}"', summary='window = "1s"')
    picture = inputs.jpeg(folder)
    with Daemon(config, "--source", "replay:-", stdin=subprocess.PIPE) as daemon:
        stop = threading.Event()

        def feed():
            while not stop.is_set():
                try:
                    daemon.child.stdin.write(picture)
                    daemon.child.stdin.flush()
                except OSError:
                    return
                time.sleep(0.2)

        threading.Thread(target=feed, daemon=True).start()
        if not daemon.says("the embedded broker listens"):
            return False, daemon.log()[-500:]
        client = Client(port, "emotiond/hall/#")
        client.messages(4)
        client.socket.sendall(publish("emotiond/hall/pause/set", b"ON"))
        paused = client.messages(6)
        client.socket.sendall(publish("emotiond/hall/pause/set", b"OFF"))
        after = client.messages(6)
        now = time.time()
        stop.set()
    windows = [json.loads(body) for topic, body in paused + after if topic.endswith("/summary")]
    states = Counter(window["quality"]["camera"] for window in windows)
    end = windows[-1]["window"]["end"] if windows else "1970-01-01T00:00:00Z"
    late = now - datetime.fromisoformat(end.replace("Z", "+00:00")).timestamp()
    holds = states["paused"] >= 3 and states["ok"] >= 2 and -1 < late < 3
    return holds, f"a pause of 6 s: windows {dict(states)}, the last one dated {late:.1f} s ago"


def f6_state(folder):
    lost, words = [], ("was deleted or replaced", "emotiond")
    queue = lambda place: place / "state/queue"
    segment = lambda place: sorted(queue(place).glob("*.log"))[-1]

    def noise(place):
        copy = place / "copy"
        copy.write_bytes(os.urandom(50_000))
        copy.rename(segment(place))

    def directory(place):
        file = segment(place)
        file.unlink()
        file.mkdir()

    def link(place):
        file = segment(place)
        file.unlink()
        file.symlink_to("/dev/zero")

    def everything(place):
        shutil.rmtree(queue(place))

    attacks = {"queue file deleted": lambda place: segment(place).unlink(), "replaced by noise": noise,
               "by a folder": directory, "by a link to /dev/zero": link, "folder deleted": everything}
    peaks = []
    for number, (name, attack) in enumerate(attacks.items()):
        place = Path(folder) / str(number)
        place.mkdir()
        # Nobody listens there: every summary has to be kept.
        config = configuration(place, f'url = "mqtt://127.0.0.1:{free_port()}"', summary='window = "1s"')
        with Daemon(config, "--source", f"replay:{PHOTO}", RUST_LOG="emotiond=debug") as daemon:
            end = time.monotonic() + 30
            while time.monotonic() < end and not list(queue(place).glob("*.log")):
                time.sleep(0.1)
            time.sleep(5)
            attack(place)
            if not daemon.says(*words, seconds=15):
                lost.append(f"{name}: nothing was said")
            time.sleep(4)
            kept = any(b"emotiond/hall/summary" in file.read_bytes()
                       for file in queue(place).glob("*.log") if file.is_file() and not file.is_symlink())
            if not kept:
                lost.append(f"{name}: nothing is kept afterwards")
            peaks.append(daemon.peak())
    place = Path(folder) / "two"
    place.mkdir()
    config = configuration(place, f'url = "mqtt://127.0.0.1:{free_port()}"', summary='window = "1s"')
    with Daemon(config, "--source", f"replay:{PHOTO}") as first:
        first.says("confined")
        time.sleep(1)
        with Daemon(config, "--source", f"replay:{PHOTO}") as second:
            if not second.says("another process has it open"):
                lost.append("a second daemon on the directory: nothing was said")
    return not lost, f"{len(attacks) + 1} attacks, at most {max(peaks)} MiB; " + ("; ".join(lost) or "each said and mended")


def f7_files(folder):
    pipe = Path(folder) / "pipe"
    os.mkfifo(pipe)
    large = Path(folder) / "large"
    with large.open("wb") as file:
        file.truncate(1 << 40)
    worst, slowest, wrong = 0, 0, []
    for path in ("/dev/zero", pipe, large, "/dev/watchdog-none", folder):
        shapes = {
            "configuration": ("check", "--config", path),
            "picture": ("analyze", path),
            "model": ("analyze", "--model", path, PHOTO),
            "recording": ("run", "--publish", "stdout", "--source", f"replay:{path}"),
        }
        mqtt = 'url = "mqtts://127.0.0.1:1"\n'
        for name, line in (("password", f'username = "a"\npassword_file = "{path}"'), ("authority", f'ca_file = "{path}"')):
            config = configuration(folder, mqtt + line)
            shapes[name] = ("check", "--config", config)
        for name, arguments in shapes.items():
            if path == pipe and name == "recording":
                continue  # a named pipe is a recording
            if path == folder and name == "picture":
                continue  # so is a folder of pictures
            outcome = run(*arguments, seconds=10)
            worst, slowest = max(worst, outcome.peak), max(slowest, outcome.seconds)
            # `check` waits five seconds for a broker that is not there.
            if not outcome.refused or outcome.peak > SMALL:
                wrong.append(f"{path} as {name}: {outcome.code}, {outcome.peak:.0f} MiB")
    return not wrong, f"26 files: at most {worst:.0f} MiB and {slowest:.1f} s; " + ("; ".join(wrong) or "all refused")


def f8_cut(folder):
    whole = inputs.jpeg(folder)
    path = Path(folder) / "cut.jpg"
    taken = []
    for part in range(1, 20):
        path.write_bytes(whole[:len(whole) * part // 20])
        outcome = run("analyze", path)
        if outcome.code != 65 or outcome.out:
            taken.append(part * 5)
    path.write_bytes(whole)
    good = run("analyze", path)
    return not taken and good.code == 0, f"{19 - len(taken)} of 19 cut JPEGs end with 65 and without a count of faces"


def f9_large(folder):
    found, worst = [], 0
    for name, path in inputs.pictures(folder):
        outcome = run("analyze", path, seconds=60)
        worst = max(worst, outcome.peak)
        found.append(f"{name} {outcome.peak:.0f} MiB, {outcome.seconds:.1f} s, exit {outcome.code}")
        path.unlink()
    path = Path(folder) / "huge.jpg"
    path.write_bytes(inputs.huge(inputs.jpeg(folder)))
    outcome = run("analyze", path)
    found.append(f"16384² {outcome.peak:.0f} MiB, exit {outcome.code}")
    return worst <= PICTURE and outcome.code == 65 and outcome.peak <= SMALL, "; ".join(found)


def f10_rest(folder):
    wrong = []
    stream = ("run", "--publish", "stdout", "--source", "replay:-")
    codes = [run(*stream, stdin=data).code for data in (b"", b"garbage" * 1000)]
    if 78 in codes or 0 in codes:
        wrong.append(f"empty and garbage standard input end with {codes}")
    name = Path(folder) / "a\x1b[2J\x9b\n<3>b.jpg"
    name.write_bytes(b"no picture")
    outcome = run("analyze", name)
    if "\x1b" in outcome.err or "\x9b" in outcome.err:
        wrong.append("control characters of a file's name reach the terminal")
    manifests = list(inputs.manifests(folder))
    for number, (text, named) in enumerate(manifests):
        path = Path(folder) / f"m{number}.toml"
        path.write_text(text)
        outcome = run("analyze", "--model", path, PHOTO)
        if outcome.fell or (named and outcome.code == 0):
            wrong.append(f"manifest {number} ({named}): {outcome.code}")
    count, undamaged = 0, 0
    for manifest, cut in inputs.damaged_models(folder):
        outcome = run("analyze", "--model", manifest, PHOTO)
        count += 1
        if outcome.fell or (cut and "damaged" not in outcome.err):
            wrong.append(f"{manifest.name}: {outcome.code}, {outcome.err[-200:]!r}")
        undamaged += outcome.code == 0
    return not wrong, (
        f"standard input {codes}, {len(manifests)} manifests, {count} damaged models ({undamaged} of them work); "
        + ("; ".join(wrong[:5]) or "all refused in words"))


def configurations(folder):
    fell, worst, accepted, count = [], 0, 0, 0
    for number, data in enumerate(inputs.configurations()):
        path = Path(folder) / "hostile.toml"
        path.write_bytes(data)
        # Standard output and no source: a configuration that is accepted is not tried for long.
        outcome = run("run", "--publish", "stdout", "--source", f"replay:{PHOTO}", "--config", path)
        count, worst, accepted = count + 1, max(worst, outcome.peak), accepted + (outcome.code == 0)
        if outcome.fell or outcome.peak > SMALL:
            fell.append(f"{number}: {outcome.code}, {outcome.peak:.0f} MiB")
    return not fell, f"{count} hostile configurations, {accepted} accepted, at most {worst:.0f} MiB; " + (
        "; ".join(fell[:5]) or "no crash")


def streams(folder):
    fell, worst, count = [], 0, 0
    for number, data in enumerate(inputs.streams(inputs.jpeg(folder))):
        for source in ("replay:-", "stream:-"):
            outcome = run("run", "--publish", "stdout", "--source", source, stdin=data, seconds=30)
            count, worst = count + 1, max(worst, outcome.peak)
            if outcome.fell or outcome.peak > SMALL:
                fell.append(f"{number} {source}: {outcome.code}, {outcome.peak:.0f} MiB")
    return not fell, f"{count} streams, at most {worst:.0f} MiB; " + ("; ".join(fell[:5]) or "no crash")


def hostile_brokers(folder):
    fell, worst, count = [], 0, 0
    for number, (name, data, endless) in enumerate(inputs.brokers()):
        with socket.create_server(("127.0.0.1", 0)) as server:
            def serve():
                while True:
                    try:
                        connection, _ = server.accept()
                        connection.settimeout(5)
                        if data is None:
                            connection.close()
                            continue
                        connection.recv(4096)
                        connection.sendall(data)
                        while endless:
                            connection.sendall(b"\xd0\x00" if len(data) > 1 else b"\x00")
                            time.sleep(0.1)
                    except OSError:
                        if server.fileno() < 0:
                            return

            threading.Thread(target=serve, daemon=True).start()
            place = Path(folder) / str(number)
            place.mkdir()
            port = server.getsockname()[1]
            config = configuration(place, f'url = "mqtt://127.0.0.1:{port}"', summary='window = "1s"')
            with Daemon(config, "--source", f"replay:{PHOTO}") as daemon:
                time.sleep(3)
                count, worst = count + 1, max(worst, daemon.peak())
                if not daemon.alive or daemon.peak() > SMALL:
                    fell.append(f"{name}: {daemon.child.poll()}, {daemon.peak()} MiB")
                elif daemon.end() != 0:
                    fell.append(f"{name}: does not stop")
    return not fell, f"{count} hostile brokers, at most {worst} MiB; " + ("; ".join(fell[:5]) or "no crash, each stop clean")


ROWS = [
    ("F2 TCP ports", "MPTCP and TCP Fast Open to any port, listening on any port", f2_ports),
    ("F3 Unix sockets", "any, with every configuration", f3_unix),
    ("F4 other processes, files, namespaces", "16 ways", f4_others),
    ("F5 a paused pipe", "no `paused` window, what follows dated too early by the pause", f5_pause),
    ("F6 state directory", "nothing said, a later kill loses the run", f6_state),
    ("F7 devices, pipes and endless files", "1.3–1.8 GB and growing, or waits for ever", f7_files),
    ("F8 cut JPEGs", "1 of 14 noticed", f8_cut),
    ("F9 large pictures", "JPEG 834 MB and 11 s, PNG 472–716 MB", f9_large),
    ("F10 the rest", "exit 78, raw control characters, wrong words, mean = 1e38 accepted", f10_rest),
    ("configurations", "no crash in 314", configurations),
    ("streams", "no crash in 45", streams),
    ("brokers", "no crash in 28", hostile_brokers),
    ("the page", "was not there", page.page),
]
