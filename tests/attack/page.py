"""The attack on the page: everything that floods, stalls, guesses and overflows at once, beside one honest viewer."""

import base64
import contextlib
import os
import random
import socket
import threading
import time
from pathlib import Path

from target import Daemon, configuration, free_port

#: What the flood may add to the daemon, MiB.
GROWTH = 4
SECONDS = 30


def head(path, word="wall:hunter2"):
    basic = base64.b64encode(word.encode()).decode()
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {basic}\r\n\r\n".encode()


def attackers(port):
    """Ways to behave badly, each a function that does it once."""
    def connect():
        return socket.create_connection(("127.0.0.1", port), 5)

    def silent():
        with connect():
            time.sleep(3)

    def slow():
        with connect() as one:
            for byte in head("/"):
                one.sendall(bytes([byte]))
                time.sleep(0.1)

    def giant():
        with connect() as one:
            one.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * (1 << 20))

    def garbage():
        with connect() as one:
            one.sendall(random.randbytes(3000) + b"\r\n\r\n")
            one.recv(4096)

    def guess():
        with connect() as one:
            one.sendall(head("/", f"wall:{random.random()}"))
            assert b" 200 " not in one.recv(4096), "a guess was let in"

    def unread():
        # Knows the password, and takes nothing of what it has asked for.
        with connect() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            one.sendall(head("/stream"))
            time.sleep(5)

    return [silent, slow, giant, garbage, guess, unread]


def resident(daemon):
    status = Path(f"/proc/{daemon.child.pid}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))


def page(folder):
    port = free_port()
    (Path(folder) / "password").write_text("hunter2")
    table = f'enabled = true\nlisten = "127.0.0.1:{port}"\nusername = "wall"\npassword_file = "{folder}/password"'
    broker = f'listen = "127.0.0.1:{free_port()}"'
    camera = 'source = "v4l2:/dev/emotiond-none"'
    config = configuration(folder, broker, camera=camera, summary='window = "1s"', page=table)
    with Daemon(config) as daemon:
        if not daemon.says("connected to"):
            return False, daemon.log()[-1000:]
        time.sleep(3)
        before, end = resident(daemon), time.monotonic() + SECONDS
        done, wrong = [0], []

        def attack(way):
            while time.monotonic() < end:
                try:
                    way()
                except OSError:
                    pass
                except AssertionError as error:
                    wrong.append(str(error))
                done[0] += 1

        threads = [threading.Thread(target=attack, args=(way,)) for way in attackers(port) for _ in range(8)]
        for thread in threads:
            thread.start()
        asked = served = 0
        worst = before
        while time.monotonic() < end:
            asked += 1
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 2) as one:
                one.settimeout(2)
                one.sendall(head("/"))
                served += one.recv(4096).startswith(b"HTTP/1.1 200 ")
            worst = max(worst, resident(daemon))
            time.sleep(0.1)
        for thread in threads:
            thread.join()
        descriptors = len(os.listdir(f"/proc/{daemon.child.pid}/fd"))
        stops = daemon.alive and daemon.end() == 0
        holds = stops and not wrong and worst - before < GROWTH and served > 0.9 * asked and descriptors < 100
        return holds, (f"{done[0]} attacks in {SECONDS} s, {worst - before:.1f} MiB more, an honest viewer served "
                       f"{served} of {asked} times, {'stops clean' if stops else 'does not stop'}; {wrong[:1]}")
