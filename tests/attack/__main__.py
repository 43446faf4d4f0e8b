"""Attacks a build of emotiond on this machine and says of each row of the list below what it has measured.

  scripts/attack [SECONDS]     how long the embedded broker is attacked; the rest takes some minutes beside it

"before" is what the first attack measured (release build, commit 9f041e7). EMOTIOND_ATTACKED names another program.
Exits with 0 only if every row holds.
"""

import sys
import tempfile
import threading
import time

from rows import ROWS, broker_flood
from target import PROGRAM


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 600
    print(f"attacking {PROGRAM}; {time.strftime('%Y-%m-%d %H:%M')}", flush=True)
    begun = time.monotonic()
    failed = []
    lock = threading.Lock()

    def row(name, before, attack):
        with tempfile.TemporaryDirectory(prefix="emotiond-attack-") as folder:
            try:
                holds, found = attack(folder)
            except Exception as error:  # an attack that cannot be made shows nothing
                holds, found = False, f"the attack failed: {type(error).__name__}: {error}"
        with lock:
            if not holds:
                failed.append(name)
            print(f"{'holds' if holds else 'FELL '} {name}: {found}\n      before: {before}", flush=True)

    flood = threading.Thread(target=row, args=(
        "F1 memory of the embedded broker", "50 → 1,442 MB in 4.5 s, never freed",
        lambda folder: broker_flood(folder, seconds)))
    flood.start()
    for name, before, attack in ROWS:
        row(name, before, attack)
    flood.join()
    print(f"{len(ROWS) + 1 - len(failed)} of {len(ROWS) + 1} rows hold, after {time.monotonic() - begun:.0f} s")
    sys.exit(1 if failed else 0)


main()
