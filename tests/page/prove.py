"""The page of a real emotiond, and the kiosk of the examples, in a real browser."""

import argparse
import asyncio
import contextlib
import functools
import http.server
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import aiohttp
from browser import Browser

ROOT = Path(__file__).resolve().parents[2]
PICTURES = [("wall", 1920, 1080, False), ("wall-dark", 1920, 1080, True),
            ("phone", 390, 844, False), ("phone-dark", 390, 844, True), ("narrow", 320, 640, False)]


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Emotiond:
    """The daemon with the configuration of a guide, on a photograph of a smile; it can be stopped and started again."""

    def __init__(self, program, folder, guide, changes):
        self.program, self.folder = program, Path(folder)
        self.port, self.broker = free_port(), free_port()
        toml = re.search(r"```toml\n(.*?)```", (ROOT / f"docs/guides/{guide}.md").read_text(), re.S)[1]
        changes = {"enabled = true\n": f'enabled = true\nlisten = "127.0.0.1:{self.port}"\n', **changes}
        for old, new in changes.items():
            assert old in toml, f"{old!r} is not in the configuration of the guide {guide}"
            toml = toml.replace(old, new)
        if "[mqtt]" not in toml:
            toml += "\n[mqtt]\n"
        toml = toml.replace("[mqtt]\n", f'[mqtt]\nlisten = "127.0.0.1:{self.broker}"\n')
        (self.folder / "emotiond.toml").write_text(toml)
        self.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        command = ["ffmpeg", "-v", "quiet", "-nostdin", "-re", "-loop", "1", "-framerate", "5"]
        command += ["-i", ROOT / "tests/data/astronaut.png", "-f", "mjpeg", "-"]
        self.camera = subprocess.Popen(command, stdout=subprocess.PIPE)
        with open(self.folder / "log", "ab") as log:
            command = [self.program, "run", "--source", "stream:-", "--window", "1s"]
            command += ["--config", self.folder / "emotiond.toml"]
            self.process = subprocess.Popen(command, stdin=self.camera.stdout, stderr=log)
        self.camera.stdout.close()
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.05)
        raise AssertionError((self.folder / "log").read_text())

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        self.camera.kill()
        self.camera.wait()

    def pause(self, word):
        topic = "emotiond/hall/pause/set"
        subprocess.run(["mosquitto_pub", "-p", str(self.broker), "-q", "1", "-t", topic, "-m", word], check=True)


async def shows_what_is_published(page, emotiond):
    await page.shape(1920, 1080)
    await page.open(f"{emotiond.url}/")
    await page.until("document.getElementById('window').textContent.includes('ago')", "a window")
    await page.until("document.querySelectorAll('#log li').length > 0", "an event")
    await page.until("document.getElementById('people').textContent === '1'", "one person")
    await page.until("document.getElementById('broker').textContent === 'connected'", "the broker")
    shown = await page.run("""Object.fromEntries(['device', 'camera', 'connection', 'dominant', 'facing', 'notice']
        .map(id => [id, document.getElementById(id).textContent]))""")
    assert shown["device"] == "hall" and shown["camera"] == "ok" and shown["connection"] == "live", shown
    assert shown["dominant"] == "happiness" and shown["facing"] == "100 %", shown
    assert shown["notice"].startswith("A camera counts faces here"), shown
    bars = await page.run("""[...document.querySelectorAll('#expression-bars tr')].map(row =>
        [row.dataset.name, row.querySelector('.value').textContent, row.querySelector('.fill').style.width])""")
    happiness = next(bar for bar in bars if bar[0] == "happiness")
    assert len(bars) == 8 and int(happiness[1].split()[0]) > 80 and float(happiness[2][:-1]) > 80, bars
    assert await page.run("document.querySelectorAll('#unit-bars tr').length") == 10
    happy = """document.querySelector('#sequence-bars tr[data-name="expression happiness"] .value')"""
    await page.until(f"parseInt({happy}?.textContent) > 50", "what is read over some seconds")
    point = await page.run("""['cx', 'cy'].map(key =>
        +document.querySelector('#circumplex .point').getAttribute(key))""")
    assert point[0] > 30 and point[1] < -20, f"pleasant is right and excited is up: {point}"
    await page.until("document.querySelector('#chart .people-line') !== null", "people in the chart")
    holds = "[...document.querySelectorAll('.triggers .on')].some(one => one.textContent === 'smile: on')"
    await page.until(holds, "the trigger's state")
    strangers = [url for url in page.requests if not url.startswith((emotiond.url, "about:", "data:"))]
    assert not strangers, strangers
    assert not page.complaints, page.complaints


async def holds_to_the_rules_of_accessibility(page, axe, results):
    await page.run("document.querySelector('details').open = true, document.querySelector('details').open")
    await page.run(axe)
    for name, width, height, dark in PICTURES:
        await page.shape(width, height, dark, still=True)
        await asyncio.sleep(0.3)
        found = await page.run("axe.run().then(found => found.violations.map(rule => "
                               "[rule.id, rule.help, rule.nodes.map(node => node.html)]))")
        assert not found, f"{name}: {found}"
        wide = await page.run("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{name}: {wide} px too wide"
    # Those of the past, which have just been put there, are not.
    await page.until("document.getElementById('log').getAttribute('aria-live') === 'polite'", "events to be read out")
    spoken = "document.querySelectorAll('[aria-live], [role=status], [role=alert]')"
    live = await page.run(f"[...{spoken}].map(one => one.id)")
    assert live == ["log"], f"only events are read out by themselves: {live}"
    await page.run("document.querySelector('details').open = false, true")
    for name, width, height, dark in PICTURES:
        await page.shape(width, height, dark)
        await asyncio.sleep(0.5)
        if name.startswith("wall"):
            high = await page.run("document.documentElement.scrollHeight - innerHeight")
            assert high <= 0, f"{name}: {high} px do not fit the screen"
        await page.picture(results / f"{name}.png", whole=not name.startswith("wall"))


async def can_be_used_by_keyboard(page):
    await page.shape(1280, 800)
    focus = "document.activeElement.textContent.trim()"
    await page.key("Tab")
    assert await page.run(focus) == "Skip to the numbers"
    await page.key("Enter")
    assert await page.run("document.activeElement.id") == "main"
    await page.key("Tab")
    assert await page.run(focus) == "The same as a table"
    await page.key("Enter")
    await page.until("document.querySelectorAll('#hour-rows tr').length === 12", "the table")
    cell = await page.run("document.querySelector('#hour-rows td').textContent")
    assert cell == "1", cell


async def runs_nothing_that_is_slipped_in(page):
    before = len(page.complaints)
    await page.run("""(() => {
        const script = document.createElement('script');
        script.textContent = 'window.slipped = true';
        document.body.append(script);
        const place = document.createElement('div');
        place.innerHTML = '<img src="x" onerror="window.slipped = true"><p style="color: red">x</p>';
        document.body.append(place);
    })()""")
    await asyncio.sleep(0.5)
    assert await page.run("window.slipped === undefined"), "a script that was slipped in has run"
    said = page.complaints[before:]
    assert len([line for line in said if "Content Security Policy" in line]) >= 3, said
    elsewhere = await page.run(f"fetch('http://localhost:{free_port()}/').then(() => 'sent', error => error.name)")
    said = page.complaints[-1]
    assert elsewhere == "TypeError" and "Content Security Policy" in said, (elsewhere, said)
    del page.complaints[:]


async def says_when_it_is_cut_off_and_comes_back(page, emotiond):
    emotiond.stop()
    await page.until("document.getElementById('connection').textContent === 'not connected'", "the lost connection")
    await page.until("!document.getElementById('note').hidden", "the note")
    emotiond.start()
    await page.until("document.getElementById('connection').textContent === 'live'", "the connection")
    await page.until("document.getElementById('note').hidden", "the end of the note")
    await page.until("document.getElementById('people').textContent === '1'", "people again")
    emotiond.pause("ON")
    await page.until("document.getElementById('camera').textContent === 'paused'", "the pause")
    await page.until("document.getElementById('people').textContent === '–'", "no number of people")
    emotiond.pause("OFF")
    await page.until("document.getElementById('camera').textContent === 'ok'", "the end of the pause")


async def another_page_reacts(browser, emotiond, port, results):
    scene = "document.body.dataset.scene"
    kiosk = await browser.page()
    await kiosk.shape(1280, 720)
    await kiosk.open(f"http://localhost:{port}/?emotiond={emotiond.url}")
    await kiosk.until(f"{scene} === 'smile'", "the smile")
    await asyncio.sleep(1)  # its colours change slowly
    await kiosk.picture(results / "kiosk.png")
    emotiond.pause("ON")
    await kiosk.until(f"{scene} === 'nobody'", "nobody")
    emotiond.pause("OFF")
    await kiosk.until(f"{scene} === 'somebody'", "somebody")
    await kiosk.until(f"{scene} === 'smile'", "the smile, after its cooldown")
    notice = await kiosk.run("document.getElementById('notice').textContent")
    assert "estimates the expressions" in notice, notice
    # The same files by another name are another origin.
    stranger = await browser.page()
    await stranger.open(f"http://kiosk.test:{port}/?emotiond={emotiond.url}")
    await stranger.until("document.getElementById('state').textContent === 'not connected'", "the refusal")
    await asyncio.sleep(2)
    assert await stranger.run(f"{scene} === 'nobody'"), "a page of another origin has read the stream"
    assert any("CORS" in line or "403" in line for line in stranger.complaints), stranger.complaints


async def a_classroom_is_counted(browser, program, results):
    with tempfile.TemporaryDirectory() as folder:
        emotiond = Emotiond(program, folder, "classroom", {'for = "1m"': 'for = "1s"'})
        try:
            page = await browser.page()
            await page.shape(1920, 1080)
            await page.open(f"{emotiond.url}/")
            await page.until("document.getElementById('people').textContent === '1'", "one person")
            await page.until("document.querySelectorAll('#log li').length > 0", "the event")
            assert await page.run("document.getElementById('sequences').hidden"), "no network reads sequences"
            await page.run("document.querySelector('details').open = true, true")
            await page.until("document.querySelectorAll('#hour-rows tr').length === 12", "the table")
            text = await page.run("document.getElementById('main').innerText.toLowerCase()")
            for word in ["expression", "valence", "arousal", "mostly", "happiness", "au12", "camera", "looked"]:
                assert word not in text, f"{word!r} is shown in a classroom: {text}"
            assert "occupied: start" in text and "people at once" in text, text
            await page.picture(results / "classroom.png")
            assert not page.complaints, page.complaints
        finally:
            emotiond.stop()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


async def prove(program, axe, results):
    handler = functools.partial(Quiet, directory=ROOT / "examples/kiosk")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    kiosk = server.server_address[1]
    with tempfile.TemporaryDirectory() as folder:
        changes = {"http://localhost:8080": f"http://localhost:{kiosk}", "[camera]\n": 'device = "hall"\n[camera]\n',
                   "[page]\n": '[models]\nsequences = ["emotiond-temporal"]\n\n[page]\n'}
        emotiond = Emotiond(program, folder, "kiosk", changes)
        try:
            async with aiohttp.ClientSession() as session, Browser(session) as browser:
                page = await browser.page()
                for what, step in [
                    ("the page shows what is published", lambda: shows_what_is_published(page, emotiond)),
                    ("accessibility, wide and narrow, light and dark",
                     lambda: holds_to_the_rules_of_accessibility(page, axe, results)),
                    ("the keyboard", lambda: can_be_used_by_keyboard(page)),
                    ("the security policy", lambda: runs_nothing_that_is_slipped_in(page)),
                    ("a lost connection, a pause", lambda: says_when_it_is_cut_off_and_comes_back(page, emotiond)),
                    ("the kiosk", lambda: another_page_reacts(browser, emotiond, kiosk, results)),
                    ("the classroom", lambda: a_classroom_is_counted(browser, program, results)),
                ]:
                    begin = time.monotonic()
                    await step()
                    print(f"{what}: ok, {time.monotonic() - begin:.1f} s", flush=True)
        finally:
            if emotiond.process.poll() is None:
                emotiond.stop()
            (results / "emotiond.log").write_bytes((Path(folder) / "log").read_bytes())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--emotiond", required=True)
    parser.add_argument("--axe", type=Path, required=True)
    parser.add_argument("--results", type=Path, required=True)
    arguments = parser.parse_args()
    os.environ.pop("STATE_DIRECTORY", None)
    asyncio.run(prove(arguments.emotiond, arguments.axe.read_text(), arguments.results))


if __name__ == "__main__":
    main()
