"""A fleet on one machine: simulated devices and a real emotiond, three RabbitMQ nodes, a consumer, PostgreSQL; nodes,
consumer and database killed under load. Proves that every window that a device closed is in the table, once.

  prove.py --emotiond PROGRAM [--devices 1000] [--seconds 240] [--window 10]

`scripts/test-fleet` calls it. Prints figures; exits with 0 only if nothing was lost, doubled or let through.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg2

import rights
from cluster import FILES, NODES, ROOT, Failed, HaProxy, Postgres, Processes, RabbitMq, usage, wait
from real import DEVICE, Emotiond, record
from verify import verify

SHARDS = 4
# Of the devices of a run: how many lose their connection for a while, how many are killed.
OUTAGES, KILLS, DOUBLES = 0.25, 0.15, 0.02


def say(text):
    print(f"test-fleet: {text}", flush=True)


class Fleet:
    def __init__(self, folder, emotiond):
        self.folder, self.processes, self.passwords = folder, Processes(folder), {}
        self.emotiond_program = emotiond

    def set_up(self):
        tls = self.folder / "tls"
        subprocess.run([FILES / "certificates", tls, "localhost", "127.0.0.1"], check=True)
        tls.chmod(0o755)
        shutil.chown(tls / "server.key", "rabbitmq")
        self.ca = tls / "ca.pem"
        since = time.monotonic()
        self.rabbitmq = RabbitMq(self.folder, self.processes, tls)
        for node in NODES:
            self.rabbitmq.start(node)
            self.rabbitmq.ready(node)
        self.rabbitmq.ctl("import_definitions", text=(FILES / "rabbitmq/definitions.json").read_text())
        self.rabbitmq.ctl("delete_user", "guest")
        self.store_password = self.folder / "store-password"
        self.store_password.write_text("a store's password\n")
        self.rabbitmq.ctl("add_user", "store", self.store_password.read_text().strip())
        self.rabbitmq.ctl("set_permissions", "store", "^$", "^$", "^emotiond\\.summaries$")
        (self.folder / "bin").mkdir()
        shutil.copy(FILES / "consumer", self.folder / "bin")
        self.rabbitmq.wrapper(self.folder / "bin")
        self.postgres = Postgres(self.folder, self.processes)
        self.postgres.psql("-c", "CREATE DATABASE emotiond", database="postgres")
        for _ in range(2):
            self.postgres.psql("-f", FILES / "postgresql/schema.sql")
        self.haproxy = HaProxy(self.processes, self.rabbitmq)
        say(f"three RabbitMQ nodes, HAProxy and PostgreSQL are up after {time.monotonic() - since:.0f} s")

    def provision(self, *arguments, check=True):
        command = [FILES / "provision", "--database", self.postgres.address(),
                   "--url", f"mqtts://localhost:{self.haproxy.port}", *arguments]
        return subprocess.run([str(part) for part in command], check=check, text=True, capture_output=True,
                              env={**os.environ, "PATH": f"{self.folder}/bin:{os.environ['PATH']}"})

    def provision_many(self, count):
        names = [f"sim-{number:04}" for number in range(count)]
        places = self.folder / "devices.csv"
        places.write_text("".join(f"{name},shop-{number // 50:02},{'door' if number % 2 else 'window'},Europe/Berlin\n"
                                  for number, name in enumerate(names)))
        since = time.monotonic()
        self.provision("--file", places, "--output", self.folder / "devices")
        for name in names:
            self.passwords[name] = (self.folder / "devices" / name / "mqtt-password").read_text()
        say(f"{count} devices provisioned in {time.monotonic() - since:.1f} s")
        return names

    def consumer(self):
        nodes = " ".join(f"localhost:{port}" for port in self.rabbitmq.amqp)
        self.processes.start("consumer", [self.folder / "bin/consumer"], "nobody", {
            "AMQP_NODES": nodes, "AMQP_PASSWORD_FILE": str(self.store_password), "AMQP_CA_FILE": str(self.ca),
            "DATABASE": self.postgres.address("emotiond_store")})

    def query(self, sql, *values):
        with psycopg2.connect(self.postgres.address()) as database, database.cursor() as cursor:
            cursor.execute(sql, values)
            return cursor.fetchall()

    def load(self, names, seconds, window, ramp=0.0, outages=0.0, kills=0.0, doubles=DOUBLES, name="load"):
        """Starts the simulated devices; returns when they begin, when they end and their tasks."""
        begin = time.time() + 2
        tasks = []
        for shard in range(min(SHARDS, len(names))):
            task = {"port": self.haproxy.port, "ca": str(self.ca), "templates": str(self.folder / "templates.json"),
                    "result": str(self.folder / f"{name}-{shard}.result"), "begin": begin, "ramp": ramp,
                    "end": begin + ramp + seconds, "give_up": begin + ramp + seconds + 180, "window": window,
                    "outages": outages, "kills": kills, "doubles": doubles, "outage_seconds": [20, 60],
                    "devices": [[device, self.passwords[device]] for device in names[shard::SHARDS]]}
            path = self.folder / f"{name}-{shard}.json"
            path.write_text(json.dumps(task))
            self.processes.start(f"{name}-{shard}", ["/usr/bin/python3", ROOT / "tests/fleet/load.py", path])
            tasks.append(task)
        return begin, begin + ramp + seconds, tasks

    def results(self, tasks, name="load"):
        """What the devices sent, when all have ended."""
        for shard, task in enumerate(tasks):
            process = self.processes.running.pop(f"{name}-{shard}")
            if process.wait(max(1.0, task["give_up"] + 60 - time.time())) != 0:
                raise Failed(f"the simulated devices failed: {self.processes.tail(f'{name}-{shard}')}")
        return [json.loads(Path(task["result"]).read_text()) for task in tasks]

    def pids(self):
        running = self.processes.running
        pids = {name: running[name].pid for name in ("haproxy", "postgresql", "consumer") if name in running}
        return {**pids, **{f"mq{n}": self.rabbitmq.pid(n) for n in NODES if f"mq{n}" in running}}

    def usage(self):
        return {name: usage(pid) for name, pid in self.pids().items()}


def until(moment):
    time.sleep(max(0.0, moment - time.time()))


def faults(fleet, emotiond, begin, options):
    """Kills one thing after the other under load. Each is back before the next goes."""
    rabbitmq, seconds = fleet.rabbitmq, options.seconds

    def kill_node(node, why):
        other = next(n for n in NODES if n != node)
        killed = time.time()
        say(f"{killed - begin:.0f} s: kill -9 of node {node}, {why}")
        rabbitmq.kill(node)
        wait("emotiond's windows arrive while the node is down", 60, lambda: fleet.query(
            "SELECT 1 FROM emotiond.summaries WHERE device = %s AND start > to_timestamp(%s)", DEVICE, killed), 1.0)
        until(killed + 2 * options.window + 5)
        (arrived,), = fleet.query("SELECT count(DISTINCT device) FROM emotiond.summaries WHERE device LIKE 'sim-%%' "
                                  "AND received > to_timestamp(%s) AND start > to_timestamp(%s)", killed, killed)
        say(f"{time.time() - begin:.0f} s: windows of {arrived} of {options.devices} devices have begun and arrived "
            f"since; the queue is led by node {rabbitmq.leader(other)}; node {node} starts again")
        # Some are in an outage of their own; if the devices of the dead node cannot come back, a third is missing.
        if arrived < 0.7 * options.devices:
            raise Failed("the two other nodes do not do their work")
        rabbitmq.start(node)
        rabbitmq.ready(node)

    until(begin + 0.20 * seconds)
    kill_node(rabbitmq.leader(1), "which leads the quorum queue")
    until(begin + 0.45 * seconds)
    say(f"{time.time() - begin:.0f} s: PostgreSQL crashes")
    fleet.postgres.crash()
    time.sleep(0.05 * seconds)
    fleet.postgres.start()
    until(begin + 0.55 * seconds)
    say(f"{time.time() - begin:.0f} s: kill -9 of the consumer")
    fleet.processes.signal("consumer", signal.SIGKILL)
    time.sleep(3)
    fleet.consumer()
    until(begin + 0.65 * seconds)
    node = wait("emotiond is connected", 60, lambda: emotiond.node(rabbitmq), 1.0)
    kill_node(node, "to which emotiond is connected")


def full_queue(fleet, names):
    """The consumer is away and the queue is full: the broker acknowledges no more, and devices keep their windows."""
    fleet.processes.signal("consumer", signal.SIGTERM)
    fleet.rabbitmq.ctl("set_policy", "emotiond.summaries", "^emotiond\\.summaries$",
                       '{"max-length": 50, "overflow": "reject-publish"}', "--apply-to", "queues")
    begin, end, tasks = fleet.load(names, 20, 2.0, 2.0, name="full")
    until(end)
    depth, _ = fleet.rabbitmq.depth(1)
    fleet.rabbitmq.ctl("import_definitions", text=(FILES / "rabbitmq/definitions.json").read_text())
    fleet.consumer()
    results = fleet.results(tasks, "full")
    closed = sum(len(result["ledger"]) for result in results)
    # Each node confirms a little more than the limit before it knows that the queue is full.
    if depth < 50 or closed - depth < 20:
        raise Failed(f"the full queue held {depth} of {closed} windows: the limit has not been tried")
    say(f"a full queue of {depth} messages: {closed - depth} windows waited at the devices, all delivered "
        f"{time.time() - end:.0f} s after the consumer came back")
    return results


def prove(options, folder, fleet):
    fleet.set_up()
    names = fleet.provision_many(options.devices)
    say(f"recording summaries of {options.emotiond}")
    templates = record(options.emotiond, folder)
    fleet.consumer()
    rejected = rights.prove(fleet, names[0], templates[0])
    say("rights: a device writes on its own topics alone, and reads its own commands alone")

    emotiond = Emotiond(fleet)
    emotiond.start()
    before_load = fleet.usage()
    begin, end, tasks = fleet.load(names, options.seconds, options.window, 0.05 * options.devices + 5, OUTAGES, KILLS)
    steady = begin + 0.05 * options.devices + 5
    until(steady + options.window)
    calm = (time.time(), fleet.usage())
    until(steady + 0.19 * options.seconds)
    calm_end = (time.time(), fleet.usage())
    faults(fleet, emotiond, steady, options)
    until(end)
    results = fleet.results(tasks)
    say(f"the devices have delivered all {time.time() - end:.0f} s after their last window")
    emotiond.stop()
    full = full_queue(fleet, names[:40])
    wait("the queue is empty", 120, lambda: fleet.rabbitmq.depth(1) == (0, 0), 1.0)

    verify(fleet, templates, results, full, emotiond, rejected, (calm, calm_end, end), before_load, say)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--emotiond", type=Path, required=True)
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=240.0, help="how long the devices close windows")
    parser.add_argument("--window", type=float, default=10.0)
    parser.add_argument("--keep", action="store_true", help="keep the folder with the logs")
    options = parser.parse_args()
    options.emotiond = options.emotiond.resolve()
    if options.seconds < 60 + 10 * options.window:
        parser.error(f"with windows of {options.window:g} s the faults take {60 + 10 * options.window:g} seconds at least")
    folder = Path(tempfile.mkdtemp(prefix="emotiond-fleet-"))
    folder.chmod(0o755)
    fleet = Fleet(folder, options.emotiond)
    try:
        prove(options, folder, fleet)
    except BaseException as error:
        for name in ("emotiond", "consumer", "load-0", "haproxy", "postgresql", "mq1", "mq2", "mq3"):
            print(f"--- {name}\n{fleet.processes.tail(name)}", file=sys.stderr)
        if isinstance(error, Failed):
            sys.exit(f"test-fleet: {error}")
        raise
    finally:
        fleet.processes.stop()
        if not options.keep:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
