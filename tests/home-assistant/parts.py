"""The parts that are tried together, each a real one: a broker, emotiond on a picture stream, Home Assistant."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

HERE = Path(__file__).parent
REPOSITORY = HERE.parent.parent
PATIENCE = 60.0


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Process:
    """A child in a process group of its own, with its output in a file."""

    def __init__(self, log: Path):
        self.log = log
        self.child: subprocess.Popen | None = None

    def launch(self, command: list, **more) -> None:
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, **more)

    def stop(self, kind: int = signal.SIGTERM, within: float = PATIENCE) -> None:
        if self.child is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.pid, kind)
        try:
            self.child.wait(within)
        except subprocess.TimeoutExpired:
            os.killpg(self.child.pid, signal.SIGKILL)
            self.child.wait()
        self.child = None


class Broker(Process):
    """Mosquitto that keeps its retained messages over a restart, as Debian's package does."""

    def __init__(self, folder: Path):
        super().__init__(folder / "mosquitto.log")
        self.port = free_port()
        self.configuration = folder / "mosquitto.conf"
        store = folder / "broker"
        store.mkdir()
        user = "user root\n" if os.geteuid() == 0 else ""
        self.configuration.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\n"
            f"persistence_location {store}/\nlog_dest stderr\n{user}"
        )

    def start(self) -> None:
        self.launch(["mosquitto", "-c", str(self.configuration)])
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.05)
        raise RuntimeError(f"Mosquitto has not started: {self.log.read_text()}")

    def retain(self, topic: str, body: str) -> None:
        command = ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(self.port), "-q", "1", "-r", "-t", topic]
        command.append("-s" if body else "-n")
        subprocess.run(command, input=body.encode(), check=True)

    def retained(self) -> dict[str, str]:
        """All retained messages under emotiond's and Home Assistant's topics."""
        command = ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(self.port), "-W", "2", "--retained-only"]
        command += ["-F", "%j", "-t", "emotiond/#", "-t", "homeassistant/#"]
        lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
        messages = [json.loads(line) for line in lines]
        return {message["topic"]: message["payload"] for message in messages}


class Feeder(threading.Thread):
    """Writes Motion JPEG at ten pictures a second into emotiond's standard input, or nothing at all."""

    def __init__(self):
        super().__init__(daemon=True)
        self.picture: bytes | None = None
        self.pipe = None

    def run(self) -> None:
        while True:
            picture, pipe = self.picture, self.pipe
            if picture is not None and pipe is not None:
                with contextlib.suppress(OSError, ValueError):
                    pipe.write(picture)
                    pipe.flush()
            time.sleep(0.1)


def jpeg(*source: str) -> bytes:
    command = ["ffmpeg", "-loglevel", "error", *source, "-frames:v", "1", "-q:v", "3", "-f", "mjpeg", "-"]
    return subprocess.run(command, capture_output=True, check=True).stdout


class Device(Process):
    """emotiond on a live stream that shows somebody smiling, an empty room, or nothing."""

    def __init__(self, folder: Path, program: str, broker: Broker):
        super().__init__(folder / "emotiond.log")
        self.program, self.broker = program, broker
        self.configuration = folder / "emotiond.toml"
        self.somebody = jpeg("-i", str(REPOSITORY / "tests/data/astronaut.png"))
        self.nobody = jpeg("-f", "lavfi", "-i", "testsrc=size=512x512")
        self.feeder = Feeder()
        self.feeder.picture = self.nobody
        self.feeder.start()

    def configure(self, trigger: str = "smile", window: str = "2s", discovery: bool = True) -> None:
        self.configuration.write_text(
            f'site = "home"\ndevice = "hall"\n[camera]\nsource = "stream:-"\ntimeout = "2s"\n'
            f'[models]\ndirectory = "{REPOSITORY}/models"\n'
            f'[summary]\nwindow = "{window}"\n[mqtt]\nurl = "mqtt://127.0.0.1:{self.broker.port}"\n'
            f"[home_assistant]\ndiscovery = {str(discovery).lower()}\n"
            f'[[trigger]]\nname = "{trigger}"\nsignal = "expression.happiness"\nabove = 0.6\nfor = "500ms"\n'
        )

    def start(self) -> None:
        environment = {**os.environ, "STATE_DIRECTORY": ""}
        # With the mark by which systemd says that the clock is set, in a mount namespace of its own.
        inside = "mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/timesync && touch /run/systemd/timesync/synchronized"
        inside += ' && exec "$0" run --config "$1"'
        command = ["unshare", "--mount", "sh", "-c", inside, self.program, str(self.configuration)]
        self.launch(command, stdin=subprocess.PIPE, env=environment)
        self.feeder.pipe = self.child.stdin

    def reload(self) -> None:
        os.kill(self.child.pid, signal.SIGHUP)


class HomeAssistant(Process):
    """Home Assistant core in its chroot, and a user of it: REST and WebSocket."""

    def __init__(self, folder: Path, root: Path, session):
        super().__init__(folder / "hass.out")
        self.root, self.session = root, session
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.configuration = root / "config"
        self.token = ""
        self.socket = None
        self.number = 0
        self.answers: dict[int, asyncio.Future] = {}
        self.changes: list[dict] = []
        self.reader: asyncio.Task | None = None

    def launch_core(self) -> None:
        """In a mount namespace, so that nothing stays mounted, whatever happens."""
        inside = "mount --bind /proc {0}/proc && mount --bind /dev {0}/dev && exec chroot {0} "
        inside += "/usr/bin/env -i PATH=/usr/bin:/bin HOME=/root LANG=C.UTF-8 /ha/bin/hass -c /config --skip-pip"
        self.launch(["unshare", "--mount", "sh", "-c", inside.format(self.root)])

    async def start(self) -> None:
        self.changes.clear()
        self.launch_core()
        await self.answering()
        if self.token:
            await self.connect()

    async def answering(self) -> None:
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            with contextlib.suppress(Exception):
                async with self.session.get(f"{self.url}/api/onboarding") as answer:
                    if answer.status in (200, 404):
                        return
            await asyncio.sleep(0.25)
        raise RuntimeError(f"Home Assistant does not answer: {self.log.read_text()[-2000:]}")

    async def leave(self) -> None:
        if self.reader is not None:
            self.reader.cancel()
            self.reader = None
        if self.socket is not None:
            await self.socket.close()
            self.socket = None
        self.answers.clear()
        await asyncio.to_thread(self.stop)

    async def onboard(self) -> None:
        """Makes the first user, and a token that lasts."""
        client = f"{self.url}/"
        self.number, self.token = 0, ""
        user = {"client_id": client, "name": "Home", "username": "home", "password": "home", "language": "en"}
        async with self.session.post(f"{self.url}/api/onboarding/users", json=user) as answer:
            code = (await answer.json())["auth_code"]
        form = {"client_id": client, "grant_type": "authorization_code", "code": code}
        async with self.session.post(f"{self.url}/auth/token", data=form) as answer:
            self.token = (await answer.json())["access_token"]
        await self.connect()
        ask = {"type": "auth/long_lived_access_token", "client_name": "test", "lifespan": 1}
        self.token = await self.ask(ask)

    async def connect(self) -> None:
        self.socket = await self.session.ws_connect(f"{self.url}/api/websocket", max_msg_size=0)
        await self.socket.receive_json()
        await self.socket.send_json({"type": "auth", "access_token": self.token})
        accepted = await self.socket.receive_json()
        if accepted["type"] != "auth_ok":
            raise RuntimeError(f"Home Assistant: {accepted}")
        self.reader = asyncio.create_task(self.read())
        await self.ask({"type": "subscribe_events", "event_type": "state_changed"})

    async def read(self) -> None:
        async for message in self.socket:
            message = json.loads(message.data)
            if message["type"] == "event":
                self.changes.append(message["event"]["data"])
            elif message["id"] in self.answers:
                self.answers.pop(message["id"]).set_result(message)

    async def ask(self, question: dict):
        self.number += 1
        answer = self.answers[self.number] = asyncio.get_running_loop().create_future()
        await self.socket.send_json({"id": self.number, **question})
        message = await asyncio.wait_for(answer, PATIENCE)
        if not message["success"]:
            raise RuntimeError(f"{question}: {message}")
        return message["result"]

    async def post(self, path: str, body: dict):
        headers = {"Authorization": f"Bearer {self.token}"}
        async with self.session.post(f"{self.url}/api/{path}", json=body, headers=headers) as answer:
            if answer.status >= 400:
                raise RuntimeError(f"{path}: {answer.status} {await answer.text()}")
            return await answer.json()

    async def add_broker(self, port: int) -> None:
        flow = await self.post("config/config_entries/flow", {"handler": "mqtt"})
        path = f"config/config_entries/flow/{flow['flow_id']}"
        done = await self.post(path, {"broker": "127.0.0.1", "port": port})
        if done["type"] != "create_entry":
            raise RuntimeError(f"the MQTT integration: {done}")

    async def states(self) -> dict[str, dict]:
        return {state["entity_id"]: state for state in await self.ask({"type": "get_states"})}

    async def entities(self) -> dict[str, dict]:
        """What the registry has of the MQTT integration, entities that are off included, by entity id."""
        entries = await self.ask({"type": "config/entity_registry/list"})
        return {entry["entity_id"]: entry for entry in entries if entry["platform"] == "mqtt"}

    async def devices(self) -> list[dict]:
        devices = await self.ask({"type": "config/device_registry/list"})
        return [device for device in devices if ["mqtt", "emotiond_hall"] in device["identifiers"]]

    async def until(self, what: str, done, within: float = PATIENCE) -> dict[str, dict]:
        """Waits until the states satisfy `done`, and gives them."""
        deadline = time.monotonic() + within
        states = {}
        while time.monotonic() < deadline:
            states = await self.states()
            with contextlib.suppress(KeyError):
                if done({name: state["state"] for name, state in states.items()}):
                    return states
            await asyncio.sleep(0.1)
        shown = {name: state["state"] for name, state in states.items() if "hall" in name or "counter" in name}
        raise AssertionError(f"waited in vain for {what}: {shown}")

    async def registry(self, what: str, done) -> dict[str, dict]:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            entities = await self.entities()
            if done(entities):
                return entities
            await asyncio.sleep(0.2)
        raise AssertionError(f"waited in vain for {what}: {sorted(entities)}")

    def values_since(self, mark: int, entity: str) -> list[str]:
        """The states that an entity has taken since a length of `changes`."""
        changes = [change for change in self.changes[mark:] if change["entity_id"] == entity and change["new_state"]]
        return [change["new_state"]["state"] for change in changes]
