"""A picture of a page of Home Assistant, taken by Chromium through its DevTools protocol in real time.

`--screenshot` with a virtual time budget shows "Loading data" only: the page lives on its WebSocket.
"""

import asyncio
import base64
import contextlib
import json
import tempfile
import time
from pathlib import Path


async def picture(session, url: str, token: str, path: str, wait_for: str, target: Path, size=(1280, 1240)) -> None:
    """Opens `url` + `path` as the user of `token`, waits until the text `wait_for` is shown, and writes a PNG."""
    with tempfile.TemporaryDirectory() as profile:
        command = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        # Nothing beyond this machine is asked for anything.
        command += ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--disable-background-networking"]
        command += ["--no-first-run", "--disable-component-update"]
        command += ["--remote-debugging-port=0", f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}"]
        chromium = await asyncio.create_subprocess_exec(
            *command, "about:blank", stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            await drive(session, await debugger(Path(profile)), url, token, path, wait_for, target, size)
        finally:
            with contextlib.suppress(ProcessLookupError):
                chromium.terminate()
            await chromium.wait()
            # Its children write into the profile for a moment more.
            await asyncio.sleep(1)


async def debugger(profile: Path) -> str:
    """Where the DevTools of the browser listen."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, IndexError):
            return f"http://127.0.0.1:{(profile / 'DevToolsActivePort').read_text().splitlines()[0]}"
        await asyncio.sleep(0.1)
    raise RuntimeError("Chromium has not started")


async def drive(session, tools: str, url: str, token: str, path: str, wait_for: str, target: Path, size) -> None:
    async with session.get(f"{tools}/json/list") as answer:
        page = next(page for page in await answer.json(content_type=None) if page["type"] == "page")
    socket = await session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0)
    number = 0

    async def ask(method: str, **parameters):
        nonlocal number
        number += 1
        await socket.send_json({"id": number, "method": method, "params": parameters})
        async for message in socket:
            message = json.loads(message.data)
            if message.get("id") == number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
        raise RuntimeError("Chromium has closed the connection")

    async def run(script: str):
        return (await ask("Runtime.evaluate", expression=script, returnByValue=True))["result"].get("value")

    await ask("Page.enable")
    metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False}
    await ask("Emulation.setDeviceMetricsOverride", **metrics)
    # As the frontend keeps it after a login.
    tokens = json.dumps({"hassUrl": url, "clientId": f"{url}/", "access_token": token, "token_type": "Bearer",
                         "expires_in": 86400, "expires": 4102444800000, "refresh_token": ""})
    script = f"localStorage.setItem('hassTokens', {json.dumps(tokens)})"
    await ask("Page.addScriptToEvaluateOnNewDocument", source=script)
    await ask("Page.navigate", url=f"{url}{path}")
    # The text of the page with all its shadow trees.
    text = """(function texts(node) {
        return [...node.childNodes].map(child => child.nodeType == 3 ? child.textContent
            : (child.shadowRoot ? texts(child.shadowRoot) : '') + texts(child)).join(' ')
    })(document.body)"""
    deadline = time.monotonic() + 90
    while wait_for not in (await run(text) or ""):
        if time.monotonic() > deadline:
            raise AssertionError(f"{path} never showed {wait_for!r}: {(await run(text) or '')[-1000:]}")
        await asyncio.sleep(0.5)
    await asyncio.sleep(10)  # icons, which come last, and animations
    shot = await ask("Page.captureScreenshot", format="png")
    target.write_bytes(base64.b64decode(shot["data"]))
    await socket.close()
