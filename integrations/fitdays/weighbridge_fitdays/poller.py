"""Which weigh-ins are new, and what was done with them.

Rule: a `data_id` is handed over once, and noted after that: killed in between, it is handed over again, and the
function makes one weigh-in of it. What could not be taken stays in the cloud, and is asked for with the next poll. The
password is not kept; a sign-in that was refused is not tried again for six hours, because accounts get locked.
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

from .cloud import weigh_ins
from .settings import Settings
from .sinks import Later, Sink

log = logging.getLogger("weighbridge.fitdays")

LONGEST_PAUSE_S = 3600
AFTER_A_REFUSED_SIGN_IN_S = 6 * 3600


class State:
    """The sign-in and the ids that were handed over: one file, which only its owner can read."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
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
    """Hand over what is new. Returns how many were. Raises `FitdaysError`, `Later` or `OSError`."""
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
    # What the cloud does not tell of any more need not be remembered.
    known = {weigh_in.id for weigh_in in found}
    if found and not state.handed_over <= known:
        state.handed_over &= known
        state.save()
    return handed


async def run(settings: Settings, sink: Sink, *, stopped: Callable[[], bool] = lambda: False) -> None:
    """Poll until it is stopped."""
    state = State(settings.state)
    pause_s = settings.every_s
    while not stopped():
        try:
            await poll(settings, state, sink)
            pause_s = settings.every_s
        except FitdaysAuthError:
            log.error("The Fitdays cloud refuses the sign-in: are FITDAYS_EMAIL and FITDAYS_PASSWORD right?")  # noqa: TRY400
            pause_s = AFTER_A_REFUSED_SIGN_IN_S
        except (FitdaysError, Later, OSError) as e:
            # The cloud's own words may hold what was asked; a class does not.
            why = str(e) if isinstance(e, Later) else f"no answer as expected ({type(e).__name__})"
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            log.warning("%s; trying again in %.0f s", why, pause_s)
        await asyncio.sleep(pause_s)
