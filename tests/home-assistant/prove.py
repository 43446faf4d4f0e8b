"""emotiond in a real Home Assistant: what a user sees of it, and what they must never see.

Called by scripts/test-ha, which makes the chroot that Home Assistant core runs in. Everything listens on the loopback.
"""

import argparse
import asyncio
import json
import shutil
import signal
import sqlite3
import tempfile
import time
from pathlib import Path

import aiohttp
from browser import picture
from parts import HERE, REPOSITORY, Broker, Device, HomeAssistant

CONFIG = "homeassistant/device/emotiond_hall/config"
ON = [
    "binary_sensor.hall_occupancy",
    "binary_sensor.hall_smile",
    "event.hall_smile",
    "sensor.hall_arousal",
    "sensor.hall_camera",
    "sensor.hall_facing",
    "sensor.hall_mood",
    "sensor.hall_people_now",
    "sensor.hall_valence",
    "sensor.hall_visitors",
    "switch.hall_pause",
]
# Lines of Home Assistant's log that are about how it is run here, not about any device.
OF_THE_TEST = (
    "Skipping pip installation of required modules",
    # Home Assistant's own: it clears the discovery topic of a device that it has removed, and then wonders at that.
    "No device components to cleanup for emotiond_hall",
)


class Proof:
    def __init__(self, broker: Broker, device: Device, home: HomeAssistant, results: Path):
        self.broker, self.device, self.home, self.results = broker, device, home, results
        self.figures: dict[str, float | int | str] = {}

    def say(self, text: str) -> None:
        print(f"  {text}", flush=True)

    async def count(self, counter: str) -> int:
        return int((await self.home.states())[f"counter.{counter}"]["state"])

    async def everything_is_unavailable(self, within: float = 30) -> None:
        names = [name for name in ON if name != "event.hall_smile"]
        await self.home.until("unavailable", lambda s: all(s[name] == "unavailable" for name in names), within)

    async def somebody_smiles(self) -> None:
        self.device.feeder.picture = self.device.somebody
        await self.home.until("somebody", lambda s: s["binary_sensor.hall_smile"] == "on"
                              and s["binary_sensor.hall_occupancy"] == "on" and s["sensor.hall_people_now"] == "1"
                              and s["sensor.hall_mood"] == "happiness")

    async def nobody(self) -> None:
        self.device.feeder.picture = self.device.nobody
        await self.home.until("nobody", lambda s: s["binary_sensor.hall_smile"] == "off"
                              and s["binary_sensor.hall_occupancy"] == "off" and s["sensor.hall_people_now"] == "0"
                              and s["sensor.hall_mood"] == "unknown")

    # --- what there is ----------------------------------------------------------------------------------------------

    async def migrates_from_before(self) -> None:
        """The announcement of the version before is on the broker, and in Home Assistant's registry."""
        self.broker.retain(CONFIG, (HERE / "discovery-before.json").read_text())
        self.broker.retain("emotiond/hall/status", "offline")
        before = await self.home.registry("the old device", lambda e: len(e) == 20)
        begun = time.monotonic()
        self.device.start()
        # The old trigger, the mean number of faces, and a temperature that this machine may not have, are gone.
        def settled(entities):
            ids = {entry["unique_id"] for entry in entities.values()}
            return not ids & {"emotiond_hall_faces", "emotiond_hall_event_wave"} and "emotiond_hall_occupancy" in ids
        entities = await self.home.registry("the new device", settled)
        self.say(f"migrated in {time.monotonic() - begun:.1f} s, process start included")
        kept = {e["unique_id"]: name for name, e in before.items()}
        now = {e["unique_id"]: name for name, e in entities.items()}
        same = [unique for unique in kept if unique in now]
        assert len(same) >= 17, (kept, now)
        assert all(kept[unique] == now[unique] for unique in same), "entity ids have changed"
        # From here on as a new user has it: Home Assistant gives entities that were deleted their old ids back.
        self.device.stop()
        self.broker.retain(CONFIG, "")
        await self.home.registry("nothing", lambda e: not e)
        await self.home.leave()
        self.log_is_clean()
        await first_start(self.home, self.broker)

    async def appears(self) -> None:
        mark = time.monotonic()
        self.device.start()
        self.device.feeder.picture = self.device.nobody
        await self.home.registry("the device", lambda e: "switch.hall_pause" in e)
        self.figures["appears after, s"] = round(time.monotonic() - mark, 1)
        await self.nobody()
        entities = await self.home.entities()
        on = sorted(name for name, entry in entities.items() if entry["disabled_by"] is None)
        on = [name for name in on if name != "sensor.hall_temperature"]
        assert on == ON, on
        off = [entry for entry in entities.values() if entry["disabled_by"]]
        assert len(off) == 4 + 8 + 10 + 6, [e["entity_id"] for e in off]
        assert {entry["entity_category"] for entry in off} == {"diagnostic"}
        assert entities["switch.hall_pause"]["entity_category"] == "config"
        assert entities["sensor.hall_camera"]["entity_category"] == "diagnostic"
        (device,) = await self.home.devices()
        assert device["name"] == "Hall", device
        states = await self.home.states()
        assert states["binary_sensor.hall_occupancy"]["attributes"]["device_class"] == "occupancy"
        assert states["binary_sensor.hall_occupancy"]["attributes"]["friendly_name"] == "Hall Occupancy"
        assert "happiness" in states["sensor.hall_mood"]["attributes"]["options"]
        lines = ["| entity | name | category | on |", "|---|---|---|---|"]
        for name, entry in sorted(entities.items()):
            shown = entry["original_name"] or "(its class)"
            lines.append(f"| {name} | {shown} | {entry['entity_category'] or ''} | {'no' if entry['disabled_by'] else 'yes'} |")
        (self.results / "entities.md").write_text("\n".join(lines) + "\n")
        self.say(f"{len(on)} entities on, {len(off)} diagnostic ones off, device {device['name']!r}")

    async def automations_are_added(self) -> None:
        folder = self.home.configuration / "automations"
        for file in [HERE / "automations.yaml", *(REPOSITORY / "examples/home-assistant/automations").glob("*.yaml")]:
            shutil.copy(file, folder)
        await self.home.post("services/automation/reload", {})

    # --- what happens -----------------------------------------------------------------------------------------------

    async def smiles_are_counted(self, times: int) -> None:
        for _ in range(times):
            await self.somebody_smiles()
            await self.nobody()
        counted = {name: await self.count(name) for name in ("smiles", "arrivals")}
        assert counted == {"smiles": times, "arrivals": times}, counted
        self.say(f"{times} smiles, {times} arrivals counted")

    async def blueprints_work(self) -> None:
        looks, departures = await self.count("looks"), await self.count("departures")
        await self.home.post("services/input_boolean/turn_off", {"entity_id": "input_boolean.happy"})
        await self.somebody_smiles()
        await self.home.until("the scene", lambda s: s["input_boolean.happy"] == "on")
        await self.nobody()
        await self.home.until("the kiosk", lambda s: int(s["counter.departures"]) == departures + 1)
        assert await self.count("looks") == looks + 1
        self.say("both blueprints have acted, once")

    async def camera_explains(self) -> None:
        self.device.feeder.picture = None
        lost = lambda s: s["sensor.hall_camera"] == "lost" and s["sensor.hall_people_now"] == "unknown"  # noqa: E731
        await self.home.until("lost", lost)
        self.device.feeder.picture = self.device.nobody
        await self.home.until("ok", lambda s: s["sensor.hall_camera"] == "ok")
        await self.home.post("services/switch/turn_on", {"entity_id": "switch.hall_pause"})
        await self.home.until("paused", lambda s: s["sensor.hall_camera"] == "paused"
                              and s["switch.hall_pause"] == "on" and s["sensor.hall_people_now"] == "unknown")
        await self.home.post("services/switch/turn_off", {"entity_id": "switch.hall_pause"})
        await self.nobody()
        self.say("camera: lost and paused are readable")

    async def reload_does_not_blink(self) -> None:
        mark = len(self.home.changes)
        self.device.configure(trigger="grin")
        self.device.reload()
        there = lambda e: "event.hall_grin" in e and not {"event.hall_smile", "binary_sensor.hall_smile"} & set(e)  # noqa: E731
        await self.home.registry("the renamed trigger", there)
        self.device.configure()
        self.device.reload()
        await self.home.registry("its old name", lambda e: "event.hall_smile" in e and "event.hall_grin" not in e)
        await self.nobody()
        kept = [name for name in ON if "smile" not in name]
        blinks = [name for name in kept if "unavailable" in self.home.values_since(mark, name)]
        assert not blinks, blinks
        self.say("a trigger renamed by two reloads: the old one gone at once, nothing blinked")

    # --- restarts ---------------------------------------------------------------------------------------------------

    async def killed_and_back(self) -> None:
        """emotiond dies with somebody there, and comes back to an empty room."""
        await self.somebody_smiles()
        arrivals = await self.count("arrivals")
        begun = time.monotonic()
        self.device.stop(signal.SIGKILL)
        await self.everything_is_unavailable()
        self.figures["last will, s"] = round(time.monotonic() - begun, 2)
        mark = len(self.home.changes)
        self.device.feeder.picture = self.device.nobody
        begun = time.monotonic()
        self.device.start()
        await self.nobody()
        self.figures["emotiond back, s"] = round(time.monotonic() - begun, 1)
        await self.nothing_stale(mark, arrivals)
        self.say("emotiond killed and back: nothing stale")

    async def broker_restarts(self) -> None:
        """The broker is away for longer than values are valid. What was measured meanwhile is delivered afterwards."""
        await self.somebody_smiles()
        arrivals = await self.count("arrivals")
        self.broker.stop()
        await self.everything_is_unavailable()
        mark = len(self.home.changes)
        await asyncio.sleep(6)
        self.device.feeder.picture = self.device.nobody
        await asyncio.sleep(20)
        begun = time.monotonic()
        self.broker.start()
        await self.nobody()
        self.figures["broker back, s"] = round(time.monotonic() - begun, 1)
        # A trigger's state is retained: the broker shows its last one until emotiond has connected again.
        await self.nothing_stale(mark, arrivals, ("binary_sensor.hall_smile",))
        self.say("the broker away for 26 s: nothing stale, what was measured meanwhile is not shown as of now")

    async def home_assistant_restarts(self) -> None:
        """Home Assistant stops with somebody there; meanwhile they leave, and a trigger gets another name."""
        await self.somebody_smiles()
        arrivals, smiles = await self.count("arrivals"), await self.count("smiles")
        await self.home.leave()
        self.device.feeder.picture = self.device.nobody
        self.device.configure(trigger="beam")
        self.device.reload()
        await asyncio.sleep(5)
        begun = time.monotonic()
        await self.home.start()
        mark = 0
        self.home.changes.clear()
        renamed = lambda e: "event.hall_beam" in e and not any("smile" in name for name in e)  # noqa: E731
        await self.home.registry("the trigger that was renamed meanwhile", renamed)
        await self.home.until("nobody", lambda s: s["sensor.hall_people_now"] == "0"
                              and s["binary_sensor.hall_beam"] == "off")
        self.figures["Home Assistant back, s"] = round(time.monotonic() - begun, 1)
        await self.nothing_stale(mark, arrivals)
        assert await self.count("smiles") == smiles
        self.say("Home Assistant restarted: nothing stale, the trigger that was renamed meanwhile has gone")
        self.device.configure()
        self.device.reload()
        await self.home.registry("its old name", lambda e: "event.hall_smile" in e and "event.hall_beam" not in e)
        await self.nobody()

    async def nothing_stale(self, mark: int, arrivals: int, retained: tuple = ()) -> None:
        await asyncio.sleep(5)
        for entity, stale in (("sensor.hall_people_now", "1"), ("binary_sensor.hall_occupancy", "on"),
                              ("sensor.hall_mood", "happiness"), ("binary_sensor.hall_smile", "on")):
            seen = self.home.values_since(mark, entity)
            assert entity in retained or stale not in seen, (entity, seen)
        assert await self.count("arrivals") == arrivals, "an automation fired on a value from before"

    # --- the end ----------------------------------------------------------------------------------------------------

    async def rows_are_bounded(self, seconds: int) -> None:
        """Rows that the recorder writes with somebody there all the time, in windows of the default length."""
        self.device.configure(window="10s")
        self.device.reload()
        await self.somebody_smiles()
        await asyncio.sleep(15)
        begun = time.time()
        await asyncio.sleep(seconds)
        database = sqlite3.connect(f"file:{self.home.configuration}/home-assistant_v2.db?mode=ro", uri=True)
        query = ("SELECT m.entity_id, count(*) FROM states s JOIN states_meta m USING (metadata_id) "
                 "WHERE s.last_updated_ts > ? AND m.entity_id LIKE '%.hall_%' GROUP BY 1")
        rows = dict(database.execute(query, (begun,)).fetchall())
        database.close()
        hourly = round(sum(rows.values()) * 3600 / seconds)
        self.figures["recorder rows an hour, one face, windows of 10 s"] = hourly
        # Seven entities change with windows; none can do so more often than there are windows.
        assert max(rows.values(), default=0) <= seconds / 10 + 1 and hourly <= 7 * 360, rows
        self.say(f"recorder: {rows or 'no row'} in {seconds} s")
        await self.nobody_quietly()

    async def nobody_quietly(self) -> None:
        self.device.configure()
        self.device.reload()
        await self.nobody()

    async def page(self) -> None:
        await self.somebody_smiles()
        (device,) = await self.home.devices()
        path, target = f"/config/devices/device/{device['id']}", self.results / "home-assistant.png"
        await picture(self.home.session, self.home.url, self.home.token, path, "Occupancy", target)
        self.say(f"the device's page: {target}")
        await self.nobody()

    async def discovery_off(self) -> None:
        self.device.configure(discovery=False)
        self.device.stop()
        self.device.start()
        await self.home.registry("nothing", lambda e: not e)
        assert not await self.home.devices(), "the device is still there"
        left = [name for name in await self.home.states() if "hall" in name]
        assert not left, left
        assert CONFIG not in self.broker.retained()
        self.say("discovery off: nothing left")

    def log_is_clean(self) -> None:
        text = "".join(path.read_text() for path in sorted(self.home.configuration.glob("home-assistant.log*")))
        bad = [line for line in text.splitlines() if " WARNING " in line or " ERROR " in line]
        bad = [line for line in bad if not any(known in line for known in OF_THE_TEST)]
        # Two restarts of the broker are this test's own doing.
        bad = [line for line in bad if "homeassistant.components.mqtt.client" not in line]
        assert not bad, "\n".join(bad)
        self.say(f"Home Assistant's log: {len(text.splitlines())} lines, no warning, no error")


def prepare(home: HomeAssistant) -> None:
    """A Home Assistant that has never run, with the examples of the repository."""
    shutil.rmtree(home.configuration, ignore_errors=True)
    home.configuration.mkdir()
    text = (HERE / "configuration.yaml").read_text().replace("PORT", str(home.port))
    (home.configuration / "configuration.yaml").write_text(text)
    examples = REPOSITORY / "examples/home-assistant"
    (home.configuration / "automations").mkdir()
    # All of the onboarding but the first user is done: its other steps would ask services on the internet.
    storage = home.configuration / ".storage"
    storage.mkdir()
    done = {"done": ["core_config", "analytics", "integration"]}
    onboarding = {"version": 4, "minor_version": 1, "key": "onboarding", "data": done}
    (storage / "onboarding").write_text(json.dumps(onboarding))
    shutil.copytree(examples / "blueprints", home.configuration / "blueprints/automation/emotiond")


async def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--root", type=Path, required=True, help="the chroot with Home Assistant in /ha")
    arguments.add_argument("--emotiond", required=True, help="the program")
    arguments.add_argument("--results", type=Path, required=True, help="folder for the screenshot and the figures")
    arguments.add_argument("--rows", type=int, default=120, help="seconds for which recorder rows are counted")
    options = arguments.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(Path(folder))
        device = Device(Path(folder), options.emotiond, broker)
        async with aiohttp.ClientSession() as session:
            home = HomeAssistant(Path(folder), options.root, session)
            proof = Proof(broker, device, home, options.results)
            try:
                await run(proof, options.rows)
            except BaseException:
                print((Path(folder) / "emotiond.log").read_text()[-3000:], flush=True)
                raise
            finally:
                print(json.dumps(proof.figures, indent=1), flush=True)
                (options.results / "figures.json").write_text(json.dumps(proof.figures, indent=1) + "\n")
                device.stop()
                await home.leave()
                broker.stop()


async def first_start(home: HomeAssistant, broker: Broker) -> None:
    prepare(home)
    home.token = ""
    await home.start()
    await home.onboard()
    await home.add_broker(broker.port)


async def run(proof: Proof, rows: int) -> None:
    proof.broker.start()
    proof.device.configure()
    await first_start(proof.home, proof.broker)
    await proof.migrates_from_before()
    await proof.appears()
    await proof.automations_are_added()
    await proof.smiles_are_counted(5)
    await proof.blueprints_work()
    await proof.page()
    await proof.camera_explains()
    await proof.reload_does_not_blink()
    await proof.killed_and_back()
    await proof.broker_restarts()
    await proof.home_assistant_restarts()
    await proof.rows_are_bounded(rows)
    await proof.discovery_off()
    proof.log_is_clean()


asyncio.run(main())
