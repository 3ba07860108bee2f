"""A `Session` over a real browser in which a person has signed in once: for when Garmin blocks every token.

Strategy: the browser runs in its own process (`browser_process.py`), which gets only `PASSED_ON` of this one's
environment and ends when idle. Each kind of trouble has one sentence, with the path of a picture of the page.

Weakness: it depends on the web pages of Garmin Connect, which may change at any time.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from ...commands import BROWSER_LOGIN, DEFAULT_TOKEN, command
from ...delivery.last_outcome import LastOutcome
from ...delivery.port import Outcome
from ...errors import GarminRefused, GarminUnreachable, SettingsInvalid, SignInNeeded, WeighbridgeError
from ...private import make_private_folder
from ..answers import retry_after_s
from ..sign_in import SignIn
from .bounded import MOST_BYTES
from .port import ConnectionDropped, GarminResponse

PROCESS = Path(__file__).with_name("browser_process.py")
IDLE_S = 10.0
#: An answer as base64, and its headers.
MOST_LINE_BYTES = 2 * MOST_BYTES
#: In addition to a request's own time-out: the start of the browser, two pages, and the import page.
ROUND_S = 120.0
#: Everything that the browser's process needs of this one's environment.
PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR")

#: The process's name for the trouble -> the fault. If a sign-in helps, the message ends with its command.
FAULTS: Mapping[str, tuple[type[WeighbridgeError], str]] = {
    "signed out": (SignInNeeded, "The browser is no longer signed in to Garmin Connect."),
    "consent": (
        SignInNeeded,
        "Garmin Connect shows a page that asks for consent before anything else. Read and answer it.",
    ),
    "firewall": (
        GarminRefused,
        "Cloudflare blocked the browser. Its clearance is valid for one network: run the browser where it was signed "
        "in, or sign in here.",
    ),
    "changed": (
        GarminRefused,
        "The page of Garmin Connect is not as expected; it may have changed. Nothing was sent. Import kept files by "
        "hand, and look for a newer Weighbridge.",
    ),
    "unreachable": (
        GarminUnreachable,
        "The browser could not open Garmin Connect; nothing was sent. Check the network and GARMIN_DOMAIN.",
    ),
    "dropped": (ConnectionDropped, "The browser's request broke off before an answer came."),
    "in use": (
        GarminUnreachable,
        "The browser's profile is in use by another process; nothing was sent. Send the same again later.",
    ),
    "no browser": (
        SettingsInvalid,
        "The delivery `browser` needs Playwright and a Chromium that starts: pipx install --force '.[browser]' in the "
        "checkout, apt install chromium, and WEIGHBRIDGE_BROWSER if it is elsewhere (in a container also "
        "WEIGHBRIDGE_BROWSER_ARGS=--no-sandbox).",
    ),
}
SIGN_IN_HELPS = ("signed out", "consent", "firewall")


class BrowserSession:
    """Requests made inside a page of Garmin Connect. Safe to share between threads; they take turns."""

    def __init__(
        self,
        profile: Path,
        *,
        domain: str,
        executable: str,
        arguments: tuple[str, ...] = (),
        token_name: str = DEFAULT_TOKEN,
        timeout_s: float = 30.0,
        page_s: float = 20.0,
    ) -> None:
        """`token_name`: whose profile it is. `page_s`: how long a page may take to load, or a firewall to check the
        browser."""
        self._sign_in = command(BROWSER_LOGIN, token_name)
        self._state = SignIn(profile / "sign-in.state")
        self._profile = profile
        self._start = {
            "profile": str(profile.absolute()),
            "executable": executable,
            "arguments": list(arguments),
            "origin": f"https://connect.{domain}",
            "page_s": page_s,
        }
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._idle: threading.Timer | None = None

    @property
    def sign_in_again(self) -> str:
        """See `port.Session`."""
        return f"Sign in, on a machine with a screen: {self._sign_in}."

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        file: tuple[str, bytes] | None = None,
    ) -> GarminResponse:
        """See `port.Session`."""
        self.token_days_left()
        asked: dict[str, object] = {
            "method": method,
            "url": f"/gc-api{path}{f'?{urlencode(params)}' if params else ''}",
            "timeout_s": self._timeout_s,
        }
        if file:
            asked["file"] = {"name": file[0], "base64": base64.b64encode(file[1]).decode()}
        with self._state.turn():
            said = self._ask(asked, self._timeout_s + ROUND_S)
            answer = GarminResponse(said["status"], said["headers"], base64.b64decode(said["base64"]))
            if answer.status == 429:
                self._state.wait(retry_after_s(answer))
        return answer

    def token_days_left(self) -> float | None:
        """See `port.Session`. A browser does not show how long its sign-in lasts."""
        if not (self._profile / "profile").exists():
            raise SignInNeeded(f"There is no browser profile in {self._profile}. {self.sign_in_again}")
        return None

    def renewal_failure(self) -> str:
        """See `port.Session`. There is no token to renew."""
        return ""

    def ended(self, delivery: str, outcomes: Collection[Outcome]) -> None:
        """See `port.Session`."""
        self._state.ended(delivery, outcomes)

    def last_outcome(self, delivery: str) -> LastOutcome:
        """See `port.Session`."""
        return self._state.last_outcome(delivery)

    def last_success_at(self) -> datetime | None:
        """See `port.Session`."""
        return self._state.last_success_at()

    def sign_in(self, timeout_s: float) -> None:
        """Open the browser on this screen, and wait until a person has signed in. Raises `SignInNeeded`."""
        self._ask({"login": True, "timeout_s": timeout_s}, timeout_s + ROUND_S)
        self._state.signed_in()
        self.close()

    def close(self) -> None:
        """End the browser's process, and wait for its end."""
        with self._lock:
            self._end()

    # -- the process -----------------------------------------------------------------------------------------

    def _ask(self, asked: Mapping[str, object], timeout_s: float) -> dict[str, Any]:
        with self._lock:
            if self._idle:
                self._idle.cancel()
            try:
                child = self._running()
                assert child.stdin  # noqa: S101  # it was opened with a pipe
                child.stdin.write(json.dumps(asked).encode() + b"\n")
                child.stdin.flush()
                said = _read_line(child, timeout_s)
            except OSError:
                said = None
            if said is None:
                self._end(kill=True)
                said = {"trouble": "dropped"}
            self._idle = threading.Timer(IDLE_S, self.close)
            self._idle.daemon = True
            self._idle.start()
        if "trouble" in said:
            kind, sentence = FAULTS[said["trouble"]]
            parts = [sentence]
            if said["trouble"] in SIGN_IN_HELPS:
                parts.append(self.sign_in_again)
            if picture := said.get("picture"):
                parts.append(f"A picture of the page: {picture}")
            raise kind(" ".join(parts))
        return said

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._child.poll() is not None:
            make_private_folder(self._profile)
            self._child = subprocess.Popen(  # noqa: S603  # our own file
                [sys.executable, "-I", str(PROCESS)],
                env={name: os.environ[name] for name in PASSED_ON if name in os.environ},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            assert self._child.stdin  # noqa: S101  # it was opened with a pipe
            self._child.stdin.write(json.dumps(self._start).encode() + b"\n")
        return self._child

    def _end(self, *, kill: bool = False) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        if kill:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
        for pipe in (child.stdin, child.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()  # the process ends at the end of its input
        try:
            child.wait(timeout=20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _read_line(child: subprocess.Popen[bytes], timeout_s: float) -> dict[str, Any] | None:
    """One line of the process, or None if it has ended or sends nothing in time."""
    assert child.stdout  # noqa: S101  # it was opened with a pipe
    deadline = time.monotonic() + timeout_s
    line = b""
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            if not selector.select(max(deadline - time.monotonic(), 0)):
                return None
            chunk = os.read(child.stdout.fileno(), 65_536)
            if not chunk:
                return None
            line += chunk
            if len(line) > MOST_LINE_BYTES:
                return None
    said: dict[str, Any] = json.loads(line)
    return said
