"""Compares the table and its views with what the devices' ledgers say, and prints the figures."""

import json
import os
import time
import uuid
from collections import Counter
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader

from cluster import FILES, Failed
from real import DEVICE

COLUMNS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")


def percentiles(values):
    values = sorted(values)
    if not values:
        return "none"
    at = [values[min(len(values) - 1, int(share * len(values)))] for share in (0.5, 0.99, 1.0)]
    return "median {:.3f} s, 99 % within {:.3f} s, longest {:.3f} s".format(*at)


def expect(what, expected, found):
    """Equal; sums of floats within what `real` columns round."""
    same = (abs(expected - found) <= 1e-5 * max(1.0, abs(expected))
            if isinstance(expected, float) and found is not None else expected == found)
    if not same:
        raise Failed(f"{what}: expected {expected}, found {found}")


def lost_and_doubled(fleet, ledger):
    keys = {(device, boot, sequence) for device, boot, sequence, _ in ledger}
    rows = fleet.query("SELECT device, replace(boot::text, '-', ''), sequence FROM emotiond.summaries "
                       "WHERE device LIKE 'sim-%%'")
    found = Counter(map(tuple, rows))
    return len(keys - found.keys()), sum(found.values()) - len(found), len(found.keys() - keys), len(keys)


def expected_sums(templates, ledger):
    """By site: what the views have to say, from the ledger and the recorded summaries."""
    sites = {}
    for device, _, _, number in ledger:
        sums = sites.setdefault(f"shop-{int(device[4:]) // 50:02}", Counter())
        summary = templates[number]
        faces, expression, quality = summary["faces"], summary["expression"], summary["quality"]
        sums["windows"] += 1
        sums["observed"] += quality["observed"]
        if faces is None:
            continue
        seconds = faces["mean"] * quality["observed"]
        sums["visits"] += faces["visits"]
        sums["watchers"] += faces["watchers"]
        if faces["dwell"]["ended"]:
            sums["ended"] += faces["dwell"]["ended"]
            sums["dwell"] += faces["dwell"]["ended"] * faces["dwell"]["mean"]
        if expression is not None:
            sums["read"] += seconds
            sums["valence"] += seconds * summary["valence"]["mean"]
            for name, share in expression["distribution"].items():
                sums[name] += seconds * share
    return sites


def views(fleet, templates, ledger):
    fleet.query("SELECT emotiond.fold()")
    expected = expected_sums(templates, ledger)
    daily = {row[0]: row[1:] for row in fleet.query(
        "SELECT site, sum(windows), sum(visits), sum(watchers), sum(dwell_mean * dwell_ended) / sum(dwell_ended), "
        "sum(hours_observed) FROM emotiond.people_daily WHERE site LIKE 'shop-__' GROUP BY site")}
    mood = {row[0]: row[1:] for row in fleet.query(
        "SELECT site, " + ", ".join(f"sum({name} * face_seconds_read) / sum(face_seconds_read)"
                                    for name in (*COLUMNS, "valence")) +
        " FROM emotiond.mood_hourly WHERE site LIKE 'shop-__' GROUP BY site")}
    expect("sites in people_daily", sorted(expected), sorted(daily))
    for site, sums in expected.items():
        windows, visits, watchers, dwell, hours = daily[site]
        expect(f"windows of {site}", sums["windows"], windows)
        expect(f"visits of {site}", sums["visits"], visits)
        expect(f"watchers of {site}", sums["watchers"], watchers)
        expect(f"mean dwell of {site}", sums["dwell"] / sums["ended"], dwell)
        expect(f"hours observed of {site}", sums["observed"] / 3600, hours)
        for name, share in zip((*COLUMNS, "valence"), mood[site]):
            if name in sums:
                expect(f"{name} of {site}", sums[name] / sums["read"], share)
    return len(expected)


def retention(fleet):
    """A day beyond `keep` goes, its sums stay, and the views say the same as before."""
    fleet.query("SELECT emotiond.maintain(keep => '200 days', late => '100 days')")
    fleet.query("INSERT INTO emotiond.summaries (device, boot, sequence, start, body) "
                "SELECT device, boot, sequence, start - interval '95 days', body FROM emotiond.summaries "
                "WHERE device = 'sim-0000' RETURNING 1")
    fleet.query("SELECT emotiond.fold()")
    before = fleet.query("SELECT * FROM emotiond.people_daily ORDER BY 1, 2, 3")
    mood = fleet.query("SELECT * FROM emotiond.mood_hourly ORDER BY 1, 2")
    fleet.query("SELECT emotiond.maintain()")
    left = fleet.query("SELECT count(*) FROM emotiond.summaries WHERE start < now() - interval '91 days'")
    expect("rows older than 90 days", [(0,)], left)
    expect("sums kept", [(True,)],
           fleet.query("SELECT count(*) > 0 FROM emotiond.hours WHERE slot < now() - interval '91 days'"))
    expect("people_daily after the partition has gone", before,
           fleet.query("SELECT * FROM emotiond.people_daily ORDER BY 1, 2, 3"))
    expect("mood_hourly after the partition has gone", mood,
           fleet.query("SELECT * FROM emotiond.mood_hourly ORDER BY 1, 2"))


def capacity(fleet, templates, say):
    """How fast one consumer writes when the broker is not in the way."""
    loader = SourceFileLoader("consumer", str(FILES / "consumer"))
    consumer = module_from_spec(spec_from_loader("consumer", loader))
    loader.exec_module(consumer)
    os.environ["DATABASE"] = fleet.postgres.address("emotiond_store")
    store, boot, count = consumer.Store(), uuid.uuid4().hex, 20_000
    messages = [("emotiond.bench.summary", json.dumps(dict(
        templates[number % len(templates)], device="bench", boot=boot, sequence=number + 1)).encode())
        for number in range(count)]
    # Recorded at full speed, they are dated from the moment of the recording.
    since = time.monotonic()
    for first in range(0, count, consumer.BATCH):
        store.write(messages[first:first + consumer.BATCH])
    took = time.monotonic() - since
    expect("rows written", (count, 0, 0), (store.stored, store.doubles, store.rejected))
    sizes = [len(json.dumps(template, separators=(",", ":"))) for template in templates]
    say(f"one consumer writes {count / took:.0f} windows a second when the queue is full ({count} in batches of "
        f"{consumer.BATCH}); a message has {sum(sizes) / len(sizes):.0f} bytes on average")
    (size, count), = fleet.query(
        "SELECT sum(pg_total_relation_size(inhrelid)), (SELECT count(*) FROM emotiond.summaries) FROM pg_inherits "
        "WHERE inhparent = 'emotiond.summaries'::regclass")
    (index,), = fleet.query("SELECT sum(pg_indexes_size(inhrelid)) FROM pg_inherits "
                            "WHERE inhparent = 'emotiond.summaries'::regclass")
    say(f"a row: {int(size) / count:.0f} bytes, of these {int(index) / count:.0f} of its indexes")
    fleet.query("DELETE FROM emotiond.summaries WHERE device = 'bench' RETURNING 1")


def verify(fleet, templates, results, full, emotiond, rejected, moments, before_load, say):
    ledger = [line for result in results for line in result["ledger"]]
    total = {key: sum(result[key] for result in results) for key in ("sent", "connections", "outages", "kills")}
    say(f"{len(ledger)} windows of {len({line[0] for line in ledger})} devices; {total['sent']} messages sent, so "
        f"{total['sent'] - len(ledger)} doubles; {total['connections']} connections, {total['outages']} outages and "
        f"{total['kills']} kills of devices")
    ledger += [line for result in full for line in result["ledger"]]
    waiting = sum(result["waiting"] for result in [*results, *full])
    lost, doubled, unknown, windows = lost_and_doubled(fleet, ledger)
    say(f"with those of the full queue {windows} windows: lost: {lost}; doubled in the table: {doubled}; "
        f"of nobody: {unknown}; still at the devices: {waiting}")
    if lost or doubled or unknown or waiting:
        raise Failed("the table is not what the devices sent")
    say(f"emotiond ({DEVICE}): {emotiond.check()} windows, none missing")
    expect("messages set aside", [(rejected,)], fleet.query("SELECT count(*) FROM emotiond.rejected"))
    say(f"the views say what the ledgers say, for {views(fleet, templates, ledger)} sites")
    figures(fleet, results, moments, before_load, say)
    capacity(fleet, templates, say)
    retention(fleet)
    say("a day beyond the retention goes, and the views say the same as before")
    say("0 windows lost, 0 doubled")


def figures(fleet, results, moments, before_load, say):
    (since, first), (until, last), end = moments
    inside = "start + make_interval(secs => (body #>> '{window,seconds}')::float8)"
    late = f"extract(epoch FROM received - ({inside}))::float8"
    rows = fleet.query(f"SELECT {late} FROM emotiond.summaries WHERE device LIKE 'sim-%%' AND {inside} "
                       "BETWEEN to_timestamp(%s) AND to_timestamp(%s)", since, until)
    say(f"calm, {until - since:.0f} s: {len(rows) / (until - since):.0f} windows a second; "
        "from a window's end to its row: " + percentiles([row[0] for row in rows]))
    say("with the faults: " + percentiles([row[0] for row in fleet.query(
        f"SELECT {late} FROM emotiond.summaries WHERE device LIKE 'sim-%%' AND {inside} <= to_timestamp(%s)", end)]))
    say("from PUBLISH to PUBACK, with the faults: " + percentiles(
        [latency for result in results for latency in result["latencies"]]))
    for name, (memory, processor) in last.items():
        say(f"{name}: {memory:.0f} MiB ({before_load[name][0]:.0f} before the load), "
            f"{(processor - first[name][1]) / (until - since):.2f} cores")
