"""Three RabbitMQ nodes, HAProxy and PostgreSQL in a folder of their own, on loopback ports of their own, from the files
in examples/fleet. Nothing of the machine's services is touched; what is started here is stopped here, by process id."""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FILES = ROOT / "examples/fleet"
RABBITMQ = Path("/usr/lib/rabbitmq/bin")
NODES = (1, 2, 3)


class Failed(Exception):
    pass


def wait(what, seconds, found, pause=0.2):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        result = found()
        if result:
            return result
        time.sleep(pause)
    raise Failed(f"{what}: not within {seconds:.0f} s")


def free_ports(count):
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def usage(pid):
    """Resident memory in MiB and processor seconds so far, of a process and its children."""
    kib = ticks = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            if pid in (int(folder.name), int(fields[1])):
                kib += int(fields[21]) * os.sysconf("SC_PAGE_SIZE") // 1024
                # Its own, and those of its ended children.
                ticks += sum(map(int, fields[11:15]))
        except OSError:
            continue
    return kib / 1024, ticks / os.sysconf("SC_CLK_TCK")


class Processes:
    """What was started: each stopped by its process id, and by its group where it starts others."""

    def __init__(self, folder):
        self.folder = folder
        self.running = {}

    def start(self, name, command, user=None, env=None):
        log = open(self.folder / f"{name}.log", "ab")
        who = {}
        if user is not None:
            entry = pwd.getpwnam(user)
            who = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   cwd=self.folder, env={**os.environ, **(env or {})}, start_new_session=True, **who)
        self.running[name] = process
        return process

    def signal(self, name, number, seconds=60):
        process = self.running.pop(name)
        if process.poll() is None:
            os.killpg(process.pid, number)
        process.wait(seconds)

    def stop(self):
        for name in reversed(list(self.running)):
            try:
                self.signal(name, signal.SIGTERM, 30)
            except subprocess.TimeoutExpired:
                continue
            finally:
                self.kill_rest(name)

    def kill_rest(self, name):
        process = self.running.pop(name, None)
        if process is not None and process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def tail(self, name, lines=15):
        path = self.folder / f"{name}.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""


class RabbitMq:
    """The cluster. Node n is emotiond-mq<n>@localhost, known to an epmd of this folder alone."""

    def __init__(self, folder, processes, tls):
        self.folder, self.processes = folder / "rabbitmq", processes
        ports = free_ports(10)
        self.epmd, self.mqtt, self.amqp, self.distribution = ports[0], ports[1:4], ports[4:7], ports[7:10]
        self.folder.mkdir()
        self.cookie = secrets.token_hex(16)
        cookie = self.folder / ".erlang.cookie"
        cookie.write_text(self.cookie)
        cookie.chmod(0o400)
        # Copies: the servers' users need not be able to read the repository.
        for name in ("enabled_plugins", "rabbitmq.conf"):
            shutil.copy(FILES / "rabbitmq" / name, self.folder)
        for node in NODES:
            extra = self.folder / f"conf.d-{node}"
            extra.mkdir()
            names = "".join(f"cluster_formation.classic_config.nodes.{n} = {self.name(n)}\n" for n in NODES)
            (extra / "90-here.conf").write_text(
                f"listeners.ssl.default = 127.0.0.1:{self.amqp[node - 1]}\n"
                f"mqtt.listeners.ssl.default = 127.0.0.1:{self.mqtt[node - 1]}\n"
                f"ssl_options.cacertfile = {tls}/ca.pem\nssl_options.certfile = {tls}/server.pem\n"
                f"ssl_options.keyfile = {tls}/server.key\n{names}log.file.level = warning\n")
        entry = pwd.getpwnam("rabbitmq")
        for path in [self.folder, *self.folder.rglob("*")]:
            os.chown(path, entry.pw_uid, entry.pw_gid)
        processes.start("epmd", ["epmd", "-port", self.epmd, "-address", "127.0.0.1"], user="rabbitmq")
        wait("epmd answers", 10, lambda: answers(self.epmd))

    def name(self, node):
        return f"emotiond-mq{node}@localhost"

    def environment(self, node):
        here = str(self.folder)
        return {
            "HOME": here, "ERL_EPMD_PORT": str(self.epmd), "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self.name(node), "RABBITMQ_DIST_PORT": str(self.distribution[node - 1]),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": f"{here}/rabbitmq.conf",
            "RABBITMQ_CONFIG_FILES": f"{here}/conf.d-{node}", "RABBITMQ_ADVANCED_CONFIG_FILE": f"{here}/none",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{here}/enabled_plugins",
            "RABBITMQ_MNESIA_BASE": f"{here}/mnesia", "RABBITMQ_LOG_BASE": f"{here}/log",
            "RABBITMQ_GENERATED_CONFIG_DIR": f"{here}/generated-{node}", "RABBITMQ_PID_FILE": f"{here}/mq{node}.pid",
            "RABBITMQ_CTL_ERL_ARGS": "+S 1 +sbwt none",
            # Three nodes share one machine here: no schedulers that wait busily.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS":
                "+sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}",
        }

    def start(self, node):
        self.processes.start(f"mq{node}", [RABBITMQ / "rabbitmq-server"], "rabbitmq", self.environment(node))

    def ready(self, node, seconds=120):
        wait(f"node {node} takes MQTT connections", seconds, lambda: answers(self.mqtt[node - 1]))

    def kill(self, node):
        """kill -9 of the node's whole process group: the Erlang machine and its helpers."""
        self.processes.signal(f"mq{node}", signal.SIGKILL)

    def pid(self, node):
        return int((self.folder / f"mq{node}.pid").read_text())

    def ctl(self, *arguments, node=1, program="rabbitmqctl", text=None):
        entry = pwd.getpwnam("rabbitmq")
        result = subprocess.run([RABBITMQ / program, "--quiet", *arguments],
                                env={**os.environ, **self.environment(node)}, user=entry.pw_uid, group=entry.pw_gid,
                                extra_groups=[], cwd=self.folder, input=text, text=True, capture_output=True)
        if result.returncode != 0:
            raise Failed(f"{program} {arguments[0]}: {(result.stderr or result.stdout).strip()}")
        return result.stdout

    def wrapper(self, folder):
        """A rabbitmqctl for the provisioning script that speaks to this cluster."""
        program = folder / "rabbitmqctl"
        settings = " ".join(f"{key}='{value}'" for key, value in self.environment(1).items())
        program.write_text(f'#!/bin/sh\ncd {self.folder}\n'
                           f'exec setpriv --reuid rabbitmq --regid rabbitmq --clear-groups env {settings} '
                           f'{RABBITMQ}/rabbitmqctl "$@"\n')
        program.chmod(0o755)

    def leader(self, node):
        """The number of the node that leads the quorum queue, asked of `node`."""
        name = self.ctl("eval", '{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, '
                        '<<"emotiond.summaries">>)), element(2, amqqueue:get_pid(Q)).', node=node)
        return next(n for n in NODES if self.name(n) in name)

    def depth(self, node):
        """Messages in the queue, and those among them that a consumer holds."""
        lines = self.ctl("list_queues", "name", "messages", "messages_unacknowledged", node=node).splitlines()
        return next(tuple(map(int, line.split("\t")[1:])) for line in lines if line.startswith("emotiond.summaries\t"))


class Postgres:
    """A cluster of databases in a private folder, run as Debian's user `postgres`."""

    def __init__(self, folder, processes):
        self.folder, self.processes = folder / "postgresql", processes
        self.port = free_ports(1)[0]
        self.bin = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        entry = pwd.getpwnam("postgres")
        self.folder.mkdir()
        os.chown(self.folder, entry.pw_uid, entry.pw_gid)
        self.who = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": [], "cwd": self.folder}
        self.data = self.folder / "data"
        subprocess.run([self.bin / "initdb", "-D", self.data, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"],
                       stdout=subprocess.DEVNULL, check=True, **self.who)
        self.start()

    def start(self):
        self.processes.start("postgresql", [
            self.bin / "postgres", "-D", self.data, "-c", "listen_addresses=127.0.0.1", "-p", self.port,
            "-k", self.folder], "postgres")
        wait("PostgreSQL answers", 60, lambda: subprocess.run(
            [self.bin / "pg_isready", "-q", "-U", "postgres", "-h", "127.0.0.1", "-p", str(self.port)]).returncode == 0)

    def crash(self):
        """An immediate shutdown: no checkpoint, connections cut, recovery at the next start."""
        process = self.processes.running.pop("postgresql")
        process.send_signal(signal.SIGQUIT)
        process.wait(60)

    def address(self, user="postgres", database="emotiond"):
        return f"host=127.0.0.1 port={self.port} user={user} dbname={database}"

    def psql(self, *arguments, database="emotiond"):
        subprocess.run([self.bin / "psql", "-q", self.address(database=database), *arguments], check=True,
                       stdout=subprocess.DEVNULL)


class HaProxy:
    def __init__(self, processes, rabbitmq):
        self.port = free_ports(1)[0]
        nodes = {f"MQ{n}": f"127.0.0.1:{rabbitmq.mqtt[n - 1]}" for n in NODES}
        env = {**nodes, "MAXCONN": "4000", "MQTTS_BIND": f"127.0.0.1:{self.port}"}
        processes.start("haproxy", ["haproxy", "-db", "-f", FILES / "haproxy.cfg"], env=env)
        wait("HAProxy answers", 10, lambda: answers(self.port))
