"""Sends notices to the services of `WEIGHBRIDGE_NOTIFY`: asks the courier, a process of its own, and waits for it.

Rule: whatever a service does (no answer, an error, a redirect, an answer without an end), sending ends within
`LONGEST_S`, and says what became of it without an address. Addresses go to the courier over a pipe, never as an
argument, which every user of the machine can read.

Strategy: a process for each notice costs a second, and notices are rare. In return, Apprise with its hundred services
takes no memory between two notices, and what hangs can be killed.

Weakness: a service that takes a notice and answers too late counts as one that failed, so the notice comes twice. A
notice counts as sent when one service has taken it: sent again for another service, it would come twice.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple

from ..commands import needs_extra
from ..errors import SettingsInvalid
from ..secret import SecretStr
from .events import Notice, body

_log = logging.getLogger(__name__)

SETTING = "WEIGHBRIDGE_NOTIFY"
LONGEST_S = 30.0
#: What a Python and its HTTP library need of the environment. The keys and passwords in it are not for the courier.
_ENVIRONMENT = (
    *("PATH", "HOME", "SYSTEMROOT", "PYTHONHOME", "LD_LIBRARY_PATH", "VIRTUAL_ENV"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
)


class Sent(NamedTuple):
    """What became of a notice at one service."""

    #: The first service of the setting is 1.
    number: int
    #: The scheme of its address, such as "ntfy".
    service: str
    #: Why it was not taken; "" if it was.
    why: str

    def __str__(self) -> str:
        return f"service {self.number} ({self.service}): {self.why or 'sent'}"


class Notifier:
    """Sends notices. Safe to share between threads."""

    def __init__(self, services: Sequence[SecretStr], *, with_values: bool, longest_s: float = LONGEST_S) -> None:
        self._services = tuple(services)
        self._with_values = with_values
        self._longest_s = longest_s
        self._children: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()

    def check(self) -> tuple[str, ...]:
        """The name of each service, "?" if it could not be checked. Nothing is sent. Raises `SettingsInvalid` for an
        address that Apprise does not know; the message does not repeat it."""
        if find_spec("apprise") is None:
            raise SettingsInvalid(needs_extra(SETTING, "notify"))
        answer = self._ask({"services": self._addresses()})
        if answer is None:  # a busy machine: no reason not to start
            _log.warning("%s could not be checked: Apprise did not answer within %g s", SETTING, self._longest_s)
            return ("?",) * len(self._services)
        names = answer["services"]
        wrong = [str(number) for number, name in enumerate(names, 1) if not name]
        if wrong:
            raise SettingsInvalid(
                f"{SETTING} must be addresses that Apprise knows, such as ntfys://ntfy.sh/TOPIC, separated by spaces. "
                f"Not known, of {len(names)}: number {', '.join(wrong)}."
            )
        return tuple(names)

    def send(self, notice: Notice) -> tuple[Sent, ...]:
        """What became of it at each service."""
        order = {"title": notice.title, "body": body(notice, with_values=self._with_values)}
        answer = self._ask({"services": self._addresses(), **order})
        if answer is None:
            late = f"no answer within {self._longest_s:g} s"
            return tuple(Sent(number, "?", late) for number, _ in enumerate(self._services, 1))
        pairs = zip(answer["services"], answer["whys"], strict=True)
        return tuple(Sent(number, name or "?", why) for number, (name, why) in enumerate(pairs, 1))

    def stop(self) -> None:
        """End what is being sent: the program ends."""
        with self._lock:
            for child in self._children:
                child.kill()

    def _addresses(self) -> list[str]:
        return [service.get_secret_value() for service in self._services]

    def _ask(self, order: Mapping[str, Any]) -> Any:
        """The answer of the courier; None if there was none in time."""
        environment = {key: os.environ[key] for key in _ENVIRONMENT if key in os.environ}
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        try:
            child = subprocess.Popen(  # noqa: S603  # this Python and our own module
                [sys.executable, "-P", "-m", f"{__package__}.courier"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # it may name an address
                env=environment,
            )
        except OSError:  # no more processes
            return None
        with self._lock:
            self._children.add(child)
        try:
            answer, _ = child.communicate(json.dumps(order).encode(), timeout=self._longest_s)
            return json.loads(answer)
        except (subprocess.TimeoutExpired, OSError, ValueError):
            return None
        finally:
            with self._lock:
                self._children.discard(child)
            child.kill()
            child.communicate()


def was_taken(sent: Sequence[Sent]) -> bool:
    """Whether a person was notified: one service is enough."""
    return any(not each.why for each in sent)


def failures(sent: Sequence[Sent]) -> str:
    """What failed, for a log; "" if nothing did."""
    return "; ".join(str(each) for each in sent if each.why)
