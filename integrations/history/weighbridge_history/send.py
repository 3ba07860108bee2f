"""Readings -> the function, over HTTP: all of them checked first, then sent in parcels, each row's end told.

Strategy: no list is kept of what was sent. The function looks into Garmin before it sends, and the same reading is the
same file; so whatever stopped an import, the same import again sends only what is missing.

Rule: a row is refused only by the word of the function. What may be otherwise later is tried again, with growing
pauses; what only a person can mend ends the import, with what was not sent counted.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx

from .read import Row

#: More in one file, and Garmin may give up over it (garmin-weight-sync issue 8 saw a 504).
PARCEL = 200
#: A rehearsal sends nothing, so it may be larger; its body stays far under the function's limit of 1 MiB.
CHECKED_AT_ONCE, CHECKED_BYTES = 500, 600_000
IN_FLIGHT = 4
TIMEOUT = httpx.Timeout(300, connect=5)
#: Between tries of the same parcel, when nothing of it went through.
PAUSES_S = (1, 2, 4, 8, 16, 32, 60, 60, 60)
#: Whoever watches waits as long as this for Garmin's own "later"; else the import is to be started later.
LONGEST_WAIT_S = 900
ARRIVED = ("confirmed", "present", "accepted", "kept", "checked")
#: What became of a row, as a summary says it.
BECAME = {
    "confirmed": "confirmed in Garmin Connect",
    "present": "were there already",
    "accepted": "taken by Garmin, not visible yet",
    "kept": "kept as files",
}
#: Problems that pass by themselves.
PASSING = ("garmin-unreachable", "outcome-unknown", "rate-limited", "no-answer", "internal-error")


class Stopped(Exception):
    """The import cannot go on; the message says why, and the mend. `kind` is the problem's own name, if it has one."""

    def __init__(self, message: str, kind: str = "") -> None:
        super().__init__(message)
        self.kind = kind


@dataclass
class Outcome:
    """What became of the rows so far."""

    counts: Counter[str] = field(default_factory=Counter)
    refused: list[tuple[Row, str]] = field(default_factory=list)
    warnings: list[tuple[Row, str]] = field(default_factory=list)
    receipts: list[tuple[Row, Mapping[str, Any]]] = field(default_factory=list)

    @property
    def done(self) -> int:
        return sum(self.counts.values()) + len(self.refused)


class Function:
    """The function at an address, over connections that end with the block. `key` may be empty."""

    def __init__(self, address: str, key: str = "") -> None:
        headers = {"Content-Type": "application/x-ndjson"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self.address = address.rstrip("/")
        self._client = httpx.Client(headers=headers, timeout=TIMEOUT)

    def __enter__(self) -> Function:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def health(self) -> Mapping[str, Any]:
        """Raises `Stopped` when nothing is there."""
        try:
            answer = self._client.get(f"{self.address}/health").json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            raise Stopped(
                f"There is no function at {self.address}. Start it (make run), or set WEIGHBRIDGE_URL."
            ) from None
        return answer if isinstance(answer, dict) else {}

    def post(self, rows: Sequence[Row], *, dry_run: bool) -> list[Mapping[str, Any]]:
        """A receipt or a problem for each row. Raises `Stopped` when the function refuses them all for one reason."""
        query = "?dry_run=true" if dry_run else ""
        try:
            response = self._client.post(
                f"{self.address}/readings{query}", content=b"\n".join(row.line for row in rows)
            )
            answer = response.json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            return [NO_ANSWER] * len(rows)
        results = answer.get("results") if isinstance(answer, dict) else None
        if isinstance(results, list) and len(results) == len(rows):
            return results
        if kind_of(answer) in PASSING:
            return [answer] * len(rows)
        message = words_of(answer) or f"The function at {self.address} gave an answer that is not its own."
        raise Stopped(message, kind_of(answer))


NO_ANSWER = {"type": "urn:history:no-answer", "detail": "The function gave no answer."}


def kind_of(result: Any) -> str:
    return str(result.get("type", "")).rpartition(":")[2] if isinstance(result, dict) else ""


def words_of(problem: Any) -> str:
    """What is wrong with a row, in the function's words, with the value that came."""
    if not isinstance(problem, dict):
        return ""
    errors = [f"{e['field']} {e['input']!r}: {e['message']}" for e in problem.get("errors", [])]
    return " ".join(errors) or str(problem.get("detail", ""))


def check(
    function: Function, rows: Sequence[Row], *, shown: frozenset[int], progress: Callable[[int], None]
) -> Outcome:
    """What would become of each row; nothing is sent. The receipts of the rows numbered in `shown` are kept.

    Raises `Stopped`.
    """
    outcome = Outcome()
    flying: list[tuple[Sequence[Row], Future[list[Mapping[str, Any]]]]] = []

    def land() -> None:
        parcel, future = flying.pop(0)
        for row, result in zip(parcel, future.result(), strict=True):
            if result is NO_ANSWER:
                raise Stopped("The function gave no answer. Is it still running?")
            _count(outcome, row, result, keep=row.number in shown)
        progress(outcome.done)

    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        for parcel in _parcels(rows, CHECKED_AT_ONCE, CHECKED_BYTES):
            flying.append((parcel, pool.submit(function.post, parcel, dry_run=True)))
            if len(flying) == IN_FLIGHT:
                land()
        while flying:
            land()
    return outcome


def send(
    function: Function,
    rows: Sequence[Row],
    outcome: Outcome,
    *,
    progress: Callable[[int, str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Deliver each row; `outcome` is kept up to date, also when this is stopped. Raises `Stopped`."""
    for parcel in _parcels(rows, PARCEL, CHECKED_BYTES):
        waiting, tries = list(parcel), 0
        while waiting:
            again: list[Row] = []
            fault: Mapping[str, Any] = {}
            ending: Stopped | None = None
            for row, result in zip(waiting, function.post(waiting, dry_run=False), strict=True):
                kind = kind_of(result)
                if kind in PASSING:
                    again.append(row)
                    fault = result
                elif kind and int(result.get("status", 0)) >= 500:
                    ending = Stopped(words_of(result), kind)
                else:
                    _count(outcome, row, result)
            progress(outcome.done, "")
            if ending:  # after the rows beside it, some of which may have arrived
                raise ending
            tries = tries + 1 if len(again) == len(waiting) else 1
            waiting = again
            if waiting:
                pause_s = _pause_s(fault, tries)
                progress(outcome.done, f"{words_of(fault)} Trying again in {pause_s:g} s.")
                sleep(pause_s)


def _pause_s(fault: Mapping[str, Any], tries: int) -> float:
    """How long to wait. Garmin's own "later" is obeyed; what the function advises to callers unwatched is not."""
    if kind_of(fault) == "rate-limited":
        pause_s = float(fault.get("retry_after_s", 60))
        if pause_s > LONGEST_WAIT_S:
            raise Stopped(f"{words_of(fault)} That is in {pause_s / 60:.0f} minutes.")
        return pause_s
    if tries > len(PAUSES_S):
        raise Stopped(words_of(fault))
    return PAUSES_S[tries - 1]


def _count(outcome: Outcome, row: Row, result: Mapping[str, Any], *, keep: bool = False) -> None:
    status = result.get("status")
    if status not in ARRIVED:
        outcome.refused.append((row, words_of(result)))
        return
    outcome.counts[str(status)] += 1
    outcome.warnings += [(row, warning) for warning in result.get("warnings", [])]
    if keep:
        outcome.receipts.append((row, result))


def _parcels(rows: Sequence[Row], most: int, most_bytes: int) -> Iterator[list[Row]]:
    parcel: list[Row] = []
    size = 0
    for row in rows:
        if parcel and (len(parcel) == most or size + len(row.line) > most_bytes):
            yield parcel
            parcel, size = [], 0
        parcel.append(row)
        size += len(row.line) + 1
    if parcel:
        yield parcel
