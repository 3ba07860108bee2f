"""The function as a process, which can be stopped and started again at the same address.

Rule: it is `weighbridge serve` with its real parts. Only the pauses with which garth imitates a person are left out.
Strategy: importing takes longer than most tests, so a process that has imported is forked for each start.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date
from functools import cache
from pathlib import Path

from tests.garmin.server import GarminStandIn
from tests.ports import free_port

#: With every right, named, as signing in needs it.
KEY = "planted-key-with-all-rights"
#: May send and read only.
GUEST_KEY = "planted-key-of-a-guest"
#: May send only.
SENDER_KEY = "planted-key-of-a-sender"
KEYS = f"home:send+read+delete+administer={KEY},guest:send+read={GUEST_KEY},sender:send={SENDER_KEY}"

_SERVERS = """
import json, os, signal, sys
import garth.sso.widget_strategy
import weighbridge.http.app, weighbridge.http.server, weighbridge.login
from weighbridge.cli import main
garth.sso.widget_strategy.random.uniform = lambda _low, _high: 0.0
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    start = json.loads(line)
    if (pid := os.fork()) == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        sys.stdin.close()
        log = os.open(start["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ.clear()
        os.environ.update(start["environment"])
        if start["checked"]:
            sys.exit(main(["serve", "--port", str(start["port"])], prog_name="weighbridge"))
        # As a host starts it that does not check the settings first.
        sys.exit(weighbridge.http.server.run("127.0.0.1", start["port"]))
    print(pid, flush=True)
"""


@cache
def _servers() -> subprocess.Popen[str]:
    """The process that is forked. It ends with this one, which closes its input."""
    return subprocess.Popen(
        [sys.executable, "-c", _SERVERS],
        env=_inherited() | {"PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _inherited() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME") if name in os.environ}


class RunningFunction:
    """One function for the people with these names; none: for one account."""

    key = KEY
    guest_key = GUEST_KEY

    def __init__(self, garmin: GarminStandIn, folder: Path, people: Sequence[str] = ()) -> None:
        self.garmin = garmin
        self.people = tuple(people)
        self.tokens, self.kept = folder / "tokens", folder / "kept"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = folder / "log"
        self.settings: dict[str, str] = {
            "WEIGHBRIDGE_API_KEYS": KEYS,
            "WEIGHBRIDGE_DELIVERY": "garmin",
            "WEIGHBRIDGE_TOKENS": str(self.tokens),
            "WEIGHBRIDGE_FOLDER": str(self.kept),
            "WEIGHBRIDGE_CONFIRM_SECONDS": "2",
            "WEIGHBRIDGE_TIMEZONE": "Europe/Berlin",
            "GARMIN_DOMAIN": garmin.domain,
            "GARMIN_CA_BUNDLE": str(garmin.ca_bundle),
        }
        if people:
            file = folder / "people.toml"
            file.write_text("".join(f'[[person]]\nname = "{name}"\n' for name in people))
            self.settings["WEIGHBRIDGE_PEOPLE"] = str(file)
        #: The id of its process.
        self._pid: int | None = None
        #: Whether it runs with other settings than its own.
        self._changed = False

    def start(self, *, checked: bool = True, **settings: str) -> None:
        """Start it, with these settings changed, and wait until it answers. `checked`: unusable ones stop it."""
        self.stop()
        self._changed = bool(settings) or not checked
        start = {
            "environment": _inherited() | {"PYTHONDONTWRITEBYTECODE": "1"} | self.settings | settings,
            "checked": checked,
            "port": self.port,
            "log": str(self._log),
        }
        servers = _servers()
        assert servers.stdin is not None
        assert servers.stdout is not None
        print(json.dumps(start), file=servers.stdin, flush=True)
        self._pid = int(servers.stdout.readline())
        deadline = time.monotonic() + 60
        while not self._answers():
            if not self.runs or time.monotonic() > deadline:
                raise RuntimeError(f"the function did not start: {self.log()}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.url}/health", timeout=30).close()
        except urllib.error.HTTPError as e:
            e.close()
        except OSError:
            return False
        return True

    @property
    def runs(self) -> bool:
        return self._pid is not None and Path(f"/proc/{self._pid}").exists()

    def stop(self) -> None:
        if self._pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGTERM)
            while self.runs:
                time.sleep(0.01)
            self._pid = None

    def log(self) -> str:
        """What it has written so far."""
        return self._log.read_text()

    def sign_in(self, person: str = "", *, days: float = 30) -> None:
        """Store a token, as a sign-in does, that ends in so many days."""
        before = self.garmin.sign_in.refresh_token_lifetime_s
        self.garmin.sign_in.refresh_token_lifetime_s = days * 86_400
        try:
            self.garmin.write_token(self.tokens, person.lower())
        finally:
            self.garmin.sign_in.refresh_token_lifetime_s = before

    def sign_out(self, person: str = "") -> None:
        """Forget the sign-in, and what is known of the attempts."""
        self.forget_attempts(person)
        for path in self.tokens.glob(f"{person.lower() or 'default'}.*"):
            path.unlink()

    def forget_attempts(self, person: str = "") -> None:
        """As if the time to wait after a failed sign-in were over."""
        (self.tokens / f".{person.lower() or 'default'}.attempt").unlink(missing_ok=True)

    def reset(self) -> None:
        """As it was at the start: everybody is signed in, and Garmin holds nothing."""
        for folder in (self.tokens, self.kept):
            shutil.rmtree(folder, ignore_errors=True)
        for person in self.people or ("",):
            self.sign_in(person)
        if self._changed or not self.runs:
            self.start()

    def weights(self, person: str = "") -> list[Mapping[str, object]]:
        """The weigh-ins that Garmin holds of one person, as its own API shows them."""
        store = self.garmin.weights_of[person.lower()]
        return [store.as_json(placed) for placed in store.between(date.min, date.max)]
