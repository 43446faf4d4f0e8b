"""What the broker in the arm64 machine delivered, a line a message: `python3 messages.py MESSAGES STOPPED`.

MESSAGES has lines of `seconds retained topic payload`; STOPPED holds the moment at which the daemon was told to stop. Exits
with 1 if a window is missing or doubled, if windows leave a gap, or if the last one did not come from the stop.
"""

import json
import sys
from datetime import datetime


def seconds(stamp: str) -> float:
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()


def main() -> None:
    boots: dict[str, list[tuple[float, dict]]] = {}
    with open(sys.argv[1], encoding="utf-8") as file:
        for line in file:
            at, _, topic, payload = line.rstrip("\n").split(" ", 3)
            if topic == "emotiond/pi/summary":
                summary = json.loads(payload)
                boots.setdefault(summary["boot"], []).append((float(at), summary))
    with open(sys.argv[2], encoding="utf-8") as file:
        stopped = float(file.read())
    assert len(boots) == 2, f"summaries of two runs are expected: {list(boots)}"
    first, second = boots.values()
    # The second run began while nobody subscribed yet.
    for name, run, begin in (("first", first, first[0][1]["sequence"]), ("second", second, second[0][1]["sequence"])):
        numbers = [summary["sequence"] for _, summary in run]
        assert numbers == list(range(begin, begin + len(run))), numbers
        for (_, one), (_, next_one) in zip(run, run[1:]):
            gap = seconds(next_one["window"]["start"]) - seconds(one["window"]["end"])
            assert abs(gap) <= 0.05, f"{gap} s between windows {one['sequence']} and {next_one['sequence']}"
        print(f"  {name} run: {len(run)} summaries, none missing, none doubled, without a gap")
    at, last = first[-1]
    assert last["window"]["seconds"] < 9.9 and at >= stopped, (stopped, at, last["window"])
    frames = [summary["quality"]["frames"] for _, summary in first]
    print(f"  the window that the stop closed: {last['window']['seconds']} s, received {at - stopped:.2f} s after the stop began")
    print(f"  frames in a window: {frames}")


main()
