"""A part of a simulated fleet: devices that publish recorded summaries as emotiond does, and fail as devices do.

  load.py TASK     TASK: a JSON file that says who, where, for how long and how often what fails

Each device keeps its closed windows until the broker has acknowledged them, and sends them again, in order, after every
lost connection. An outage is a connection that breaks and stays away while windows go on closing. A kill forgets what
was on the way: what waits on "disk", and the last window acknowledged, are sent again, and a new run begins. What
closed is written into the ledger of the task; every line of it has to be in the table, once.

One process holds some 250 devices: paho-mqtt waits with select(2), which knows 1024 files, and takes three a device.
"""

import json
import random
import ssl
import sys
import threading
import time
import uuid
from collections import OrderedDict
from datetime import datetime, timezone
from pathlib import Path

import paho.mqtt.client as mqtt

IN_FLIGHT = 16
SETTLED = 10.0


def stamp(seconds):
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Device:
    def __init__(self, name, password, task, templates, context):
        self.name, self.password, self.task, self.templates, self.context = name, password, task, templates, context
        self.dice = random.Random(name)
        self.window = task["window"]
        # Windows of different devices end at different moments, and connections are made one after the other.
        self.due = task["begin"] + task["ramp"] + self.dice.random() * self.window
        self.first = task["begin"] + self.dice.random() * task["ramp"]
        span = task["end"] - self.due
        at = [self.due + (0.1 + 0.7 * self.dice.random()) * span for _ in range(2)]
        self.outage = at[0] if self.dice.random() < task["outages"] else None
        self.kill = at[1] if self.dice.random() < task["kills"] else None
        self.away_until = 0.0
        self.waiting, self.on_the_way, self.last = OrderedDict(), {}, None
        self.ledger, self.latencies, self.counts = [], [], dict.fromkeys(("sent", "connections", "outages", "kills"), 0)
        self.begin_run()

    def begin_run(self):
        self.boot, self.sequence = uuid.uuid4().hex, 0

    def close_window(self, now):
        self.sequence += 1
        number = self.dice.randrange(len(self.templates))
        summary = dict(self.templates[number], device=self.name, boot=self.boot, sequence=self.sequence)
        summary["window"] = {"start": stamp(now - self.window), "end": stamp(now), "seconds": float(self.window)}
        key = (self.boot, self.sequence)
        self.waiting[key] = json.dumps(summary, separators=(",", ":"))
        self.ledger.append([self.name, self.boot, self.sequence, number])

    def pump(self, client):
        """Publishes what waits and is not on its way, at most IN_FLIGHT at once."""
        on_the_way = {key for key, _ in self.on_the_way.values()}
        for key, body in self.waiting.items():
            if len(self.on_the_way) >= IN_FLIGHT:
                break
            if key not in on_the_way:
                self.publish(client, key, body)

    def publish(self, client, key, body):
        self.counts["sent"] += 1
        message = client.publish(f"emotiond/{self.name}/summary", body, qos=1)
        self.on_the_way[message.mid] = (key, time.monotonic())

    def acknowledged(self, client, mid):
        key, since = self.on_the_way.pop(mid, (None, 0.0))
        body = self.waiting.pop(key, None)
        if body is not None:
            self.latencies.append(time.monotonic() - since)
            self.last = (key, body)
            if self.dice.random() < self.task["doubles"]:
                self.publish(client, *self.last)

    def connect(self):
        client = mqtt.Client(f"emotiond-{self.name}", clean_session=True)
        client.username_pw_set(self.name, self.password)
        client.tls_set_context(self.context)
        client.will_set(f"emotiond/{self.name}/status", "offline", qos=1, retain=True)
        client.max_inflight_messages_set(2 * IN_FLIGHT)
        accepted = []
        client.on_connect = lambda *arguments: accepted.append(arguments[3])
        client.on_publish = lambda client, _, mid: self.acknowledged(client, mid)
        client.connect("localhost", self.task["port"], keepalive=30)
        end = time.monotonic() + 15
        while not accepted and time.monotonic() < end:
            if client.loop(0.5) != mqtt.MQTT_ERR_SUCCESS:
                break
        if accepted != [0]:
            raise OSError(f"CONNACK {accepted}")
        self.counts["connections"] += 1
        client.subscribe([(f"emotiond/{self.name}/{topic}", 1) for topic in ("pause/set", "request/+")])
        client.publish(f"emotiond/{self.name}/status", "online", qos=1, retain=True)
        return client

    def fail_if_due(self, now):
        """Whether the connection breaks now."""
        if self.outage is not None and now >= self.outage:
            self.outage = None
            self.counts["outages"] += 1
            self.away_until = now + self.dice.uniform(*self.task["outage_seconds"])
            return True
        if self.kill is not None and now >= self.kill:
            self.kill = None
            self.counts["kills"] += 1
            if self.last is not None:
                self.waiting[self.last[0]] = self.last[1]
                self.waiting.move_to_end(self.last[0], last=False)
            self.begin_run()
            self.away_until = now + self.dice.uniform(1, 5)
            return True
        return False

    def tick(self, now):
        while self.due <= now and self.due < self.task["end"]:
            self.close_window(self.due)
            self.due += self.window

    def finished(self, now):
        return now >= self.task["give_up"] or (now >= self.task["end"] and not self.waiting)

    def run(self):
        backoff = 1.0
        while time.time() < self.first:
            time.sleep(0.2)
        while not self.finished(time.time()):
            self.tick(time.time())
            if time.time() < self.away_until:
                time.sleep(0.2)
                continue
            self.on_the_way.clear()
            since = time.time()
            try:
                self.session(self.connect())
            except (OSError, ValueError):
                # As emotiond does: a short session is a failed attempt.
                if time.time() - since > SETTLED:
                    backoff = 1.0
                self.wait(backoff * self.dice.uniform(0.5, 1.0))
                backoff = min(2 * backoff, 15.0)

    def wait(self, seconds):
        end = time.time() + seconds
        while time.time() < end:
            self.tick(time.time())
            time.sleep(0.2)

    def session(self, client):
        while not self.finished(now := time.time()):
            self.tick(now)
            if self.fail_if_due(now):
                client.socket().close()
                return
            self.pump(client)
            if client.loop(min(0.5, max(0.01, self.due - now))) != mqtt.MQTT_ERR_SUCCESS:
                raise OSError("connection lost")
        client.disconnect()


def main():
    task = json.loads(Path(sys.argv[1]).read_text())
    templates = json.loads(Path(task["templates"]).read_text())
    context = ssl.create_default_context(cafile=task["ca"])
    devices = [Device(name, password, task, templates, context) for name, password in task["devices"]]
    threading.stack_size(256 * 1024)
    threads = [threading.Thread(target=device.run) for device in devices]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts = {key: sum(device.counts[key] for device in devices) for key in devices[0].counts}
    result = {
        "ledger": [line for device in devices for line in device.ledger],
        "waiting": sum(len(device.waiting) for device in devices),
        "latencies": [round(latency, 4) for device in devices for latency in device.latencies],
        **counts,
    }
    Path(task["result"]).write_text(json.dumps(result))


if __name__ == "__main__":
    main()
