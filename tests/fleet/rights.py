"""What a device of the fleet may not do: each attempt is made with real credentials, and has to fail."""

import json
import socket
import ssl
import time

import paho.mqtt.client as mqtt

from cluster import Failed, wait

REFUSED = 0x80


def connect(fleet, user, password, tls=True, port=None):
    """A connected client, or the reason why not: a CONNACK code or an exception."""
    client = mqtt.Client(f"emotiond-{user}", clean_session=True)
    client.username_pw_set(user, password)
    if tls:
        client.tls_set_context(ssl.create_default_context(cafile=fleet.ca))
    answers = []
    client.on_connect = lambda *arguments: answers.append(arguments[3])
    try:
        client.connect("localhost", port or fleet.haproxy.port, keepalive=10)
    except (OSError, ssl.SSLError) as error:
        return None, error
    end = time.monotonic() + 10
    while not answers and time.monotonic() < end:
        if client.loop(0.2) != mqtt.MQTT_ERR_SUCCESS:
            break
    return (client, 0) if answers == [0] else (None, answers or "closed")


def publishes(client, topic, body):
    """Whether the broker acknowledges a message; it closes the connection on one that it refuses."""
    acknowledged = []
    client.on_publish = lambda *_: acknowledged.append(True)
    client.publish(topic, body, qos=1)
    end = time.monotonic() + 5
    while not acknowledged and time.monotonic() < end:
        if client.loop(0.2) != mqtt.MQTT_ERR_SUCCESS:
            return False
    return bool(acknowledged)


def subscribes(client, topic):
    """Whether the broker grants a subscription."""
    answers = []
    client.on_subscribe = lambda _client, _data, _mid, granted: answers.extend(granted)
    client.subscribe(topic, qos=1)
    end = time.monotonic() + 5
    while not answers and time.monotonic() < end:
        if client.loop(0.2) != mqtt.MQTT_ERR_SUCCESS:
            return False
    return bool(answers) and answers[0] != REFUSED


def expect(what, expected, found):
    if bool(found) != expected:
        raise Failed(f"rights: {what}: expected {'yes' if expected else 'no'}, found {found!r}")


def prove(fleet, other, template):
    """Returns how many messages the consumer has to have set aside because of it."""
    for name in ("probe", "gone"):
        fleet.provision("--site", "lab", "--location", "desk", "--output", fleet.folder / "devices", name)
    password = (fleet.folder / "devices/probe/mqtt-password").read_text()
    body = json.dumps(dict(template, device="probe"))

    def attempt(what, expected, act):
        client, reason = connect(fleet, "probe", password)
        if client is None:
            raise Failed(f"rights: the probe cannot connect: {reason!r}")
        expect(what, expected, act(client))
        client.disconnect()

    attempt("its own summary", True, lambda client: publishes(client, "emotiond/probe/summary", body))
    attempt("its own state", True, lambda client: publishes(client, "emotiond/probe/camera/state", "ok"))
    attempt("another device's summary", False, lambda client: publishes(client, f"emotiond/{other}/summary", body))
    attempt("a topic of nobody", False, lambda client: publishes(client, "elsewhere", body))
    attempt("a command to itself", False, lambda client: publishes(client, "emotiond/probe/pause/set", "ON"))
    attempt("a command to another device", False, lambda client: publishes(client, f"emotiond/{other}/pause/set", "ON"))
    attempt("its own commands", True, lambda client: subscribes(client, "emotiond/probe/request/+"))
    attempt("another device's summaries", False, lambda client: subscribes(client, f"emotiond/{other}/summary"))
    attempt("everything", False, lambda client: subscribes(client, "#"))
    attempt("all summaries", False, lambda client: subscribes(client, "emotiond/+/summary"))
    # On its own topic, under another's name; and what is no summary at all. Both are acknowledged and set aside.
    forged = json.dumps(dict(template, device=other))
    attempt("a forged name", True, lambda client: publishes(client, "emotiond/probe/summary", forged))
    attempt("no JSON", True, lambda client: publishes(client, "emotiond/probe/summary", b"\xff\x00"))
    wrong = json.dumps(dict(template, device="probe", schema=2, sequence=2))
    attempt("another schema", True, lambda client: publishes(client, "emotiond/probe/summary", wrong))
    old = dict(template, device="probe", sequence=3)
    old["window"] = {"start": "1970-01-01T00:00:00.000Z", "end": "1970-01-01T00:00:10.000Z", "seconds": 10.0}
    attempt("an unset clock", True, lambda client: publishes(client, "emotiond/probe/summary", json.dumps(old)))

    expect("a wrong password", False, connect(fleet, "probe", "wrong")[0])
    expect("no user of that name", False, connect(fleet, "nobody", password)[0])
    expect("guest", False, connect(fleet, "guest", "guest")[0])
    expect("a connection without TLS", False, connect(fleet, "probe", password, tls=False)[0])
    try:
        with socket.create_connection(("localhost", fleet.haproxy.port), 5) as plain:
            ssl.create_default_context().wrap_socket(plain, server_hostname="localhost")
        raise Failed("rights: a client that does not know the fleet's authority trusts the broker")
    except ssl.SSLCertVerificationError:
        pass

    before = (fleet.folder / "devices/gone/mqtt-password").read_text()
    expect("a device before its removal", True, connect(fleet, "gone", before)[0])
    fleet.provision("--remove", "gone")
    expect("a device after its removal", False, connect(fleet, "gone", before)[0])
    for name in ("a.b", "Sim", "x/y", "x{username}", "-x", "sim-check-1"):
        expect(f"the name {name}", False,
               fleet.provision("--site", "lab", "--location", "desk", name, check=False).returncode == 0)

    wait("the consumer has set aside what it cannot store", 30,
         lambda: fleet.query("SELECT count(*) FROM emotiond.rejected") == [(4,)])
    wait("the probe's summary is in the table", 30,
         lambda: fleet.query("SELECT count(*) FROM emotiond.summaries WHERE device = 'probe'") == [(1,)])
    if fleet.query("SELECT count(*) FROM emotiond.summaries WHERE device = %s", other) != [(0,)]:
        raise Failed(f"rights: the probe wrote a row of {other}")
    return 4
