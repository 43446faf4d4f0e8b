"""Debian's Chromium without a window, driven through its DevTools protocol."""

import asyncio
import base64
import contextlib
import json
import tempfile
import time
from pathlib import Path


class Browser:
    """A browser that ends with its context."""

    def __init__(self, session):
        self.session = session
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)

    async def __aenter__(self):
        command = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        # Nothing beyond this machine is asked for anything, but names that a test makes up lead to it.
        command += ["--host-resolver-rules=MAP *.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"]
        command += ["--disable-background-networking", "--no-first-run", "--disable-component-update"]
        command += ["--remote-debugging-port=0", f"--user-data-dir={self.profile.name}", "about:blank"]
        self.process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, IndexError):
                port = (Path(self.profile.name) / "DevToolsActivePort").read_text().splitlines()[0]
                self.tools = f"http://127.0.0.1:{port}"
                return self
            await asyncio.sleep(0.1)
        raise RuntimeError("Chromium has not started")

    async def __aexit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        await self.process.wait()
        # Its children write into the profile for a moment more.
        await asyncio.sleep(0.5)
        self.profile.cleanup()

    async def page(self):
        """A new tab."""
        async with self.session.put(f"{self.tools}/json/new?about:blank") as answer:
            target = await answer.json(content_type=None)
        page = Page(await self.session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0))
        for domain in ["Page", "Runtime", "Log", "Network"]:
            await page.ask(f"{domain}.enable")
        return page


class Page:
    """A tab. `complaints` holds what the console has said of errors and violations of the security policy."""

    def __init__(self, socket):
        self.socket = socket
        self.number = 0
        self.answers = {}
        self.complaints = []
        self.requests = []
        self.reader = asyncio.create_task(self.read())

    async def read(self):
        async for message in self.socket:
            message = json.loads(message.data)
            parameters = message.get("params", {})
            if "id" in message:
                self.answers.pop(message["id"]).set_result(message)
            elif message["method"] == "Runtime.exceptionThrown":
                self.complaints.append(parameters["exceptionDetails"].get("exception", {}).get("description", "?"))
            elif message["method"] == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
                self.complaints.append(parameters["entry"]["text"])
            elif message["method"] == "Network.requestWillBeSent":
                self.requests.append(parameters["request"]["url"])

    async def ask(self, method, **parameters):
        self.number += 1
        answer = self.answers[self.number] = asyncio.get_running_loop().create_future()
        await self.socket.send_json({"id": self.number, "method": method, "params": parameters})
        message = await asyncio.wait_for(answer, 60)
        if "error" in message:
            raise RuntimeError(f"{method}: {message['error']}")
        return message["result"]

    async def run(self, script):
        """The value of an expression in the page; promises are waited for."""
        answer = await self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    async def open(self, url):
        await self.ask("Page.navigate", url=url)

    async def shape(self, width, height, dark=False, still=False):
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        await self.ask("Emulation.setDeviceMetricsOverride", **metrics)
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
                    {"name": "prefers-reduced-motion", "value": "reduce" if still else "no-preference"}]
        await self.ask("Emulation.setEmulatedMedia", features=features)

    async def until(self, script, what, within=60):
        """Waits until an expression is true; while a page is still to come, it may fail."""
        deadline = time.monotonic() + within
        while True:
            with contextlib.suppress(RuntimeError):
                if await self.run(script):
                    return
            if time.monotonic() > deadline:
                text = await self.run("document.body.innerText")
                raise AssertionError(f"waited in vain for {what}; the page says\n{text}\nthe console {self.complaints}")
            await asyncio.sleep(0.1)

    async def key(self, key):
        for kind in ["keyDown", "keyUp"]:
            await self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                           windowsVirtualKeyCode={"Tab": 9, "Enter": 13, " ": 32}[key],
                           **({"text": "\r"} if key == "Enter" and kind == "keyDown" else {}))

    async def picture(self, target, whole=False):
        shot = await self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        Path(target).write_bytes(base64.b64decode(shot["data"]))

    async def close(self):
        await self.ask("Page.close")
        self.reader.cancel()
        await self.socket.close()
