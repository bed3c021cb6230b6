"""Chromium without a window, driven through a pipe: pages are opened from the disk, given files, asked and photographed."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run", "--disable-extensions")
_WEBCAM = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")  # a moving figure, which may be used
_DESCRIPTORS = (3, 4)  # of the protocol's pipe: what the browser reads, and what it writes
_PATIENCE = 300.0  # seconds that anything may take
_OWN = ("file:", "data:", "blob:")  # addresses that reach no network


def chromium() -> str | None:
    """The browser's program; None where there is none."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


def _as_protocol(read: int, write: int) -> None:
    """Give two descriptors the numbers that the protocol wants, whichever they have."""
    beyond = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, _DESCRIPTORS[-1] + 1) for descriptor in (read, write)]
    for descriptor, number in zip(beyond, _DESCRIPTORS, strict=True):
        os.dup2(descriptor, number)


class Browser:
    """One page in a browser that can reach no network; messages are those of the DevTools protocol."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to, self._from = to_browser, from_browser
        self._received, self._count = b"", 0
        self._session: str | None = None
        self.requests: list[str] = []  # addresses beyond the page itself that were asked for
        self.complaints: list[str] = []  # errors that the page printed or did not catch

    @classmethod
    @contextmanager
    def opened(cls, page: Path, size: tuple[int, int] = (1280, 900)) -> Iterator[Self]:
        """A browser that has opened a file, in a window of ``size``, width and height."""
        program = chromium()
        assert program is not None
        (read_there, write_here), (read_here, write_there) = os.pipe(), os.pipe()
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            command = [program, *_FLAGS, *_WEBCAM, f"--user-data-dir={profile}", "about:blank"]
            moved = partial(_as_protocol, read_there, write_there)
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            process = subprocess.Popen(command, pass_fds=_DESCRIPTORS, preexec_fn=moved, **quiet)  # type: ignore[call-overload]
            os.close(read_there)
            os.close(write_there)
            try:
                browser = cls(write_here, read_here)
                browser._attach(page, size)
                yield browser
            finally:
                os.close(write_here)
                process.kill()
                process.wait()
                os.close(read_here)

    def _attach(self, page: Path, size: tuple[int, int]) -> None:
        targets = self.ask("Target.getTargets")["targetInfos"]
        target = next(entry["targetId"] for entry in targets if entry["type"] == "page")
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "DOM", "Log"):
            self.ask(f"{domain}.enable")
        self.ask("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=-1, uploadThroughput=-1)
        self.resize(size)
        self.ask("Page.navigate", url=page.resolve().as_uri())
        self.wait("location.protocol === 'file:' && document.readyState === 'complete'")

    def resize(self, size: tuple[int, int]) -> None:
        """Give the window another width and height."""
        self.ask("Emulation.setDeviceMetricsOverride", width=size[0], height=size[1], deviceScaleFactor=1, mobile=False)

    def ask(self, method: str, **parameters: Any) -> Any:
        """The answer to a message; RuntimeError where the browser refuses it."""
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": parameters}
        os.write(self._to, json.dumps(message | ({"sessionId": self._session} if self._session else {})).encode() + b"\0")
        while (answer := self._next()).get("id") != self._count:
            self._note(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def value(self, expression: str) -> Any:
        """What an expression of the page's JavaScript comes to, awaited where it is a promise."""
        answer = self.ask("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(str(answer["exceptionDetails"].get("exception", {}).get("description")))
        return answer["result"].get("value")

    def wait(self, expression: str) -> None:
        """Wait until an expression is true; TimeoutError, with what the page complained of, where it never is."""
        end = time.monotonic() + _PATIENCE
        while not self.value(expression):
            if time.monotonic() > end:
                raise TimeoutError(f"{expression} was never true; {self.complaints}")
            time.sleep(0.05)

    def give(self, selector: str, file: Path) -> None:
        """Choose a file in a file input."""
        root = self.ask("DOM.getDocument")["root"]["nodeId"]
        node = self.ask("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.ask("DOM.setFileInputFiles", nodeId=node, files=[str(file.resolve())])

    def point(self, x: float, y: float) -> None:
        """Move the pointer to a place of the window, px."""
        self.ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def photograph(self, whole: bool = False, kind: str = "png") -> bytes:
        """The window, or the whole page, as a PNG or JPEG file."""
        return base64.b64decode(self.ask("Page.captureScreenshot", format=kind, captureBeyondViewport=whole)["data"])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._received:
            part = os.read(self._from, 1 << 20)
            if not part:
                raise RuntimeError("the browser ended")
            self._received += part
        message, _, self._received = self._received.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def _note(self, event: dict[str, Any]) -> None:
        told = event.get("params", {})
        if event.get("method") == "Network.requestWillBeSent" and not told["request"]["url"].startswith(_OWN):
            self.requests.append(told["request"]["url"])
        elif event.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(str(told["exceptionDetails"].get("exception", {}).get("description")))
        elif event.get("method") == "Log.entryAdded" and told["entry"]["level"] == "error":
            self.complaints.append(told["entry"]["text"])
