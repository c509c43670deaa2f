"""A headless Chromium, driven through its debugging pipe: no package is needed but the browser."""

import json
import os
import pathlib
import select
import shutil
import subprocess
import tempfile
import time

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


def find_browser():
    """A path. No browser is a failure, but on Ubuntu, which has none as a package."""
    for name in NAMES:
        path = shutil.which(name)
        # Ubuntu's is a script that asks for a snap.
        if path and b"snap" not in pathlib.Path(path).read_bytes()[:4096]:
            return path
    release = pathlib.Path("/etc/os-release")
    if release.exists() and "ID=ubuntu" in release.read_text().splitlines():
        pytest.skip("Ubuntu has no package of Chromium")
    pytest.fail("no Chromium was found: ./dev setup installs it")


class Browser:
    """One page. What it asked the network for is in `requests`, what it complained of in `complaints`."""

    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="joulery-chromium-")
        to_browser, self.write_end = os.pipe()
        self.read_end, from_browser = os.pipe()
        command = [
            find_browser(),
            "--headless=new",
            "--remote-debugging-pipe",
            f"--user-data-dir={self.profile}",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--no-first-run",
            "about:blank",
        ]
        if os.geteuid() == 0:
            command.insert(1, "--no-sandbox")

        # The browser reads from descriptor 3 and writes to 4.
        def place_descriptors():
            os.dup2(to_browser, 13)
            os.dup2(from_browser, 14)
            os.dup2(13, 3)
            os.dup2(14, 4)
            os.close(13)
            os.close(14)

        self.process = subprocess.Popen(
            command,
            preexec_fn=place_descriptors,
            close_fds=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self.buffer = b""
        self.last_id = 0
        self.session = None
        self.requests = []
        self.complaints = []
        self.loaded = False
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.call(f"{domain}.enable")

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.write_end)
        os.close(self.read_end)
        shutil.rmtree(self.profile, ignore_errors=True)

    def receive(self, seconds):
        """The next message, or None when the time is over."""
        end = time.monotonic() + seconds
        while b"\0" not in self.buffer:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.read_end], [], [], left)[0]:
                return None
            data = os.read(self.read_end, 1 << 20)
            assert data, "the browser went away"
            self.buffer += data
        message, self.buffer = self.buffer.split(b"\0", 1)
        message = json.loads(message)
        self.note(message.get("method"), message.get("params", {}))
        return message

    def note(self, method, params):
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Log.entryAdded":
            self.complaints.append(params["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.complaints.append(str(params["args"]))
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"]))
        elif method == "Page.loadEventFired":
            self.loaded = True

    def call(self, method, **params):
        self.last_id += 1
        message = {"id": self.last_id, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write_end, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive(60)
            assert answer is not None, f"the browser did not answer {method}"
            if answer.get("id") == self.last_id:
                assert "error" not in answer, answer
                return answer["result"]

    def show(self, path, width, scheme="light", media=""):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media=media, features=features)
        self.loaded = False
        self.requests.clear()
        self.complaints.clear()
        self.call("Page.navigate", url=pathlib.Path(path).as_uri())
        while not self.loaded:
            assert self.receive(60) is not None, "the page did not load"

    def ask(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")


@pytest.fixture(scope="module")
def browser():
    page = Browser()
    yield page
    page.close()
