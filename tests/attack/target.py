"""The program that is attacked: how it is started, measured and spoken to."""

import os
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PHOTO = ROOT / "tests/data/astronaut.png"
PROGRAM = Path(os.environ.get("EMOTIOND_ATTACKED", ROOT / "target/release/emotiond"))
#: How an honest refusal ends: a wrong command line, and the codes of sysexits.h that emotiond documents.
REFUSALS = {2, 64, 65, 66, 69, 74, 78}


def environment(**more):
    """Nothing of the caller's environment that changes what the program does."""
    unwanted = {"RUST_LOG", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "JOURNAL_STREAM", "STATE_DIRECTORY"}
    return {name: value for name, value in os.environ.items() if name not in unwanted} | more


class Outcome:
    """How a run ended: `code` is None if it had to be killed after its time, negative if a signal ended it."""

    def __init__(self, code, seconds, peak, out, err):
        self.code, self.seconds, self.peak, self.out, self.err = code, seconds, peak, out, err

    @property
    def refused(self):
        return self.code in REFUSALS

    @property
    def fell(self):
        """A signal, a panic or its own limit: none of what comes from outside may do that."""
        return self.code is None or self.code < 0 or self.code in (70, 101)


def peak(process):
    """The highest resident memory of a process so far, in MiB; 0 if it has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0)


def run(*arguments, stdin=b"", seconds=20, **more):
    """Runs it to its end and measures it. `peak` is the highest resident memory in MiB."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as given:
        given.write(stdin)
        given.seek(0)
        begun = time.monotonic()
        arguments = [str(argument) for argument in arguments]
        child = subprocess.Popen(
            [PROGRAM, *arguments], stdin=given, stdout=out, stderr=err, env=environment(**more))
        # Looked at again and again: what wait4() tells counts the memory of whoever started it, too.
        code, highest = None, 0
        while True:
            highest = max(highest, peak(child.pid))
            code = child.poll()
            if code is not None:
                break
            if time.monotonic() - begun > seconds:
                child.kill()
                child.wait()
                break
            time.sleep(0.002)
        taken = time.monotonic() - begun
        out.seek(0)
        err.seek(0)
        return Outcome(code, taken, highest, out.read(), err.read().decode(errors="replace"))


class Daemon:
    """`emotiond run` with its log read along. To be used in a `with` statement, which kills it at its end."""

    def __init__(self, config, *arguments, stdin=subprocess.DEVNULL, **more):
        arguments = [str(argument) for argument in arguments]
        self.child = subprocess.Popen(
            [PROGRAM, "run", "--config", str(config), *arguments],
            stdin=stdin, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment(**more))
        self.lines = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.child.stderr:
            self.lines.append(line.decode(errors="replace"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()

    @property
    def alive(self):
        return self.child.poll() is None

    def log(self):
        return "".join(self.lines)

    def says(self, *words, seconds=30):
        """Whether the log gets a line with all of these words."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if any(all(word in line for word in words) for line in list(self.lines)):
                return True
            time.sleep(0.05)
        return False

    def peak(self):
        return peak(self.child.pid)

    def end(self):
        self.child.send_signal(signal.SIGTERM)
        try:
            return self.child.wait(10)
        except subprocess.TimeoutExpired:
            return None


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def configuration(folder, mqtt, **more):
    """Writes a configuration; `more` are other sections, by name."""
    state = Path(folder) / "state"
    state.mkdir(exist_ok=True)
    text = 'site = "home"\ndevice = "hall"\n'
    if "state_directory" not in mqtt and "state_directory" not in more.pop("without", ""):
        mqtt += f'\nstate_directory = "{state}"'
    text += f"[mqtt]\n{mqtt}\n"
    text += "".join(f"[{name}]\n{body}\n" for name, body in more.items())
    path = Path(folder) / "emotiond.toml"
    path.write_text(text)
    return path


def field(text):
    data = text.encode()
    return struct.pack(">H", len(data)) + data


def packet(first, body):
    length, encoded = len(body), b""
    while True:
        length, digit = divmod(length, 128)
        encoded += bytes([digit | (128 if length else 0)])
        if not length:
            return bytes([first]) + encoded + body


def publish(topic, body, retain=0, qos=0, number=1):
    return packet(0x30 | qos << 1 | retain, field(topic) + (struct.pack(">H", number) if qos else b"") + body)


class Client:
    """A small honest client of MQTT 3.1.1."""

    def __init__(self, port, topic):
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.sendall(packet(0x10, field("MQTT") + b"\x04\x02\x00\x3c" + field(f"honest-{id(self)}")))
        self.socket.sendall(packet(0x82, b"\x00\x01" + field(topic) + b"\x00"))
        self.buffer = b""

    def messages(self, seconds):
        """What arrives within so many seconds: pairs of topic and body."""
        end, found = time.monotonic() + seconds, []
        while (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                break
            if not data:
                break
            self.buffer += data
            found += self._whole()
        return found

    def _whole(self):
        found = []
        while len(self.buffer) > 1:
            length, at = 0, 1
            while at < len(self.buffer):
                length |= (self.buffer[at] & 127) << 7 * (at - 1)
                at += 1
                if self.buffer[at - 1] < 128:
                    break
            else:
                break
            if len(self.buffer) < at + length:
                break
            first, body = self.buffer[0], self.buffer[at:at + length]
            self.buffer = self.buffer[at + length:]
            if first >> 4 == 3:
                size = struct.unpack(">H", body[:2])[0]
                found.append((body[2:2 + size].decode(), body[2 + size:].decode(errors="replace")))
        return found
