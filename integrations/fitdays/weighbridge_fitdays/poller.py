"""Which weigh-ins are new, and which were handed over.

Rule: a `data_id` is handed over once, and stored after that. If the poller is killed in between, it is handed over
again, and the function makes one weigh-in of both. A weigh-in that could not be handed over is still in the cloud, and
the next poll gets it. The password is not stored. A rejected sign-in is not repeated for six hours, because accounts
get locked.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fitdays import FitdaysAuthError, FitdaysError

from weighbridge.private import make_private_folder

from .cloud import weigh_ins
from .settings import Settings
from .sinks import Later, Sink

log = logging.getLogger("weighbridge.fitdays")

LONGEST_PAUSE_S = 3600
AFTER_A_REFUSED_SIGN_IN_S = 6 * 3600


class State:
    """The token and the ids that were handed over, in one file that only its owner can read."""

    def __init__(self, folder: Path) -> None:
        make_private_folder(folder)
        self._path = folder / "state.json"
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            found = {}
        found = found if isinstance(found, dict) else {}
        self.token: dict[str, Any] = found.get("token") or {}
        self.handed_over: set[str] = set(found.get("handed_over") or [])

    def keep_token(self, token: dict[str, Any]) -> None:
        self.token = token
        self.save()

    def save(self) -> None:
        draft = self._path.with_suffix(".part")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump({"token": self.token, "handed_over": sorted(self.handed_over)}, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)


async def poll(settings: Settings, state: State, sink: Sink) -> int:
    """Hand over new weigh-ins and return their number. Raises `FitdaysError`, `Later` or `OSError`."""
    found = await weigh_ins(settings, state.token, state.keep_token)
    handed = 0
    for weigh_in in found:
        if weigh_in.id in state.handed_over:
            continue
        result = await sink.hand_over(weigh_in)
        log.info("a weigh-in of person %s: %s %s", weigh_in.suid, result.word, result.why)
        if result.final:
            state.handed_over.add(weigh_in.id)
            state.save()
            handed += 1
    # Forget the ids that the cloud no longer lists.
    known = {weigh_in.id for weigh_in in found}
    if found and not state.handed_over <= known:
        state.handed_over &= known
        state.save()
    return handed


async def run(settings: Settings, sink: Sink, *, stopped: Callable[[], bool] = lambda: False) -> None:
    """Poll until stopped."""
    state = State(settings.state)
    pause_s = settings.every_s
    while not stopped():
        try:
            await poll(settings, state, sink)
            pause_s = settings.every_s
        except FitdaysAuthError:
            log.error("The Fitdays cloud rejects the sign-in. Check FITDAYS_EMAIL and FITDAYS_PASSWORD.")  # noqa: TRY400
            pause_s = AFTER_A_REFUSED_SIGN_IN_S
        except (FitdaysError, Later, OSError) as e:
            # The cloud's text may repeat the request; the class does not.
            why = str(e) if isinstance(e, Later) else f"the poll failed ({type(e).__name__})"
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            log.warning("%s; trying again in %.0f s", why, pause_s)
        await asyncio.sleep(pause_s)
