"""Readings -> the function, over HTTP: all of them checked first, then sent in parcels, each row's outcome reported.

Strategy: no list is kept of what was sent. The function looks into Garmin before it sends, and the same reading is the
same file; so whatever stopped an import, the same import again sends only what is missing.

Rule: the function says what to do. A row is settled when its receipt is `final`, refused when its problem says
`again: never`, and sent again with growing pauses when it says `later`. `after_repair` ends the import, and what was
not sent is counted. What Garmin took but does not show yet is sent once more at the end, when Garmin has had time.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from weighbridge.client import Client, Reply, Result

from .read import WeighInLine

#: More in one file, and Garmin may give up over it (garmin-weight-sync issue 8 saw a 504).
PARCEL = 200
#: A rehearsal sends nothing, so it may be larger; its body stays far under the function's limit of 1 MiB.
CHECKED_AT_ONCE, CHECKED_BYTES = 500, 600_000
IN_FLIGHT = 4
#: Between tries of the same parcel, when nothing of it went through.
PAUSES_S = (1, 2, 4, 8, 16, 32, 60, 60, 60)
#: Whoever watches waits as long as this for Garmin's own "later"; else the import is to be started later.
LONGEST_WAIT_S = 900
#: The outcome of a row, as a summary says it.
BECAME = {
    "confirmed": "confirmed in Garmin Connect",
    "present": "already there",
    "accepted": "accepted by Garmin, not visible yet",
    "kept": "kept as files",
}


class Stopped(Exception):
    """The import cannot go on; the message says why and how to fix it. `kind` is the problem's name, if it has one."""

    def __init__(self, message: str, kind: str = "") -> None:
        super().__init__(message)
        self.kind = kind


@dataclass
class ImportReport:
    """What became of the rows so far."""

    counts: Counter[str] = field(default_factory=Counter)
    refused: list[tuple[WeighInLine, str]] = field(default_factory=list)
    warnings: list[tuple[WeighInLine, str]] = field(default_factory=list)
    receipts: list[tuple[WeighInLine, Mapping[str, Any]]] = field(default_factory=list)

    @property
    def done(self) -> int:
        return sum(self.counts.values()) + len(self.refused)

    def count(self, row: WeighInLine, result: Result, *, keep: bool = False) -> None:
        if not result.ok:
            self.refused.append((row, reason_of(result)))
            return
        self.counts[result.status] += 1
        self.warnings += [(row, warning["text"]) for warning in result.body.get("warnings", [])]
        if keep:
            self.receipts.append((row, result.body))

    def recount(self, old: str, new: str) -> None:
        """One row that was counted as `old` is `new` by now."""
        self.counts.subtract([old])
        self.counts.update([new])
        self.counts = +self.counts  # what is zero by now is not mentioned


def reason_of(problem: Result) -> str:
    """What is wrong with a row, in the function's words, with the value that came."""
    errors = [f"{e['field']} {e['input']!r}: {e['message']}" for e in problem.errors]
    return " ".join(errors) or str(problem.body.get("detail") or problem.text)


def check(
    client: Client, rows: Sequence[WeighInLine], *, shown: frozenset[int], progress: Callable[[int], None]
) -> ImportReport:
    """What would become of each row; nothing is sent. The receipts of the rows numbered in `shown` are kept.

    Raises `Stopped`.
    """
    outcome = ImportReport()
    flying: list[tuple[Sequence[WeighInLine], Future[Sequence[Result]]]] = []

    def rehearse(parcel: Sequence[WeighInLine]) -> Sequence[Result]:
        reply = client.post_lines([row.line for row in parcel], dry_run=True)
        if len(reply.results) != len(parcel):
            raise _whole_call_failed(reply, client)
        return reply.results

    def land() -> None:
        parcel, future = flying.pop(0)
        for row, result in zip(parcel, future.result(), strict=True):
            outcome.count(row, result, keep=row.number in shown)
        progress(outcome.done)

    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        for parcel in _parcels(rows, CHECKED_AT_ONCE, CHECKED_BYTES):
            flying.append((parcel, pool.submit(rehearse, parcel)))
            if len(flying) == IN_FLIGHT:
                land()
        while flying:
            land()
    return outcome


def send(
    client: Client,
    rows: Sequence[WeighInLine],
    outcome: ImportReport,
    *,
    progress: Callable[[int, str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Deliver each row; `outcome` is kept up to date, also when this is stopped. Raises `Stopped`."""
    not_final: list[WeighInLine] = []
    for parcel in _parcels(rows, PARCEL, CHECKED_BYTES):
        waiting, tries = list(parcel), 0
        while waiting:
            later: list[tuple[WeighInLine, Result]] = []
            ending: Result | None = None
            for row, result in zip(waiting, _post(client, waiting), strict=True):
                if result.ok or result.again == "never":
                    outcome.count(row, result)
                    not_final += [row] * (result.ok and not result.final)
                elif result.again == "later":
                    later.append((row, result))
                else:
                    ending = result
            progress(outcome.done, "")
            if ending:  # after the rows beside it, some of which may have arrived
                raise Stopped(ending.text, ending.kind)
            tries = tries + 1 if len(later) == len(waiting) else 1
            waiting = [row for row, _ in later]
            if later:
                problem = later[-1][1]
                pause_s = _pause_s(problem, tries)
                progress(outcome.done, f"{problem.text} Trying again in {pause_s:g} s.")
                sleep(pause_s)
    for parcel in _parcels(not_final, PARCEL, CHECKED_BYTES):
        # Nothing hangs on this look: without an answer, "accepted" stays true.
        for result in client.post_lines([row.line for row in parcel]).results:
            if result.final:
                # It is there because this import brought it.
                outcome.recount("accepted", "confirmed" if result.status == "present" else result.status)
        progress(outcome.done, "")


def _post(client: Client, rows: Sequence[WeighInLine]) -> Sequence[Result]:
    """A receipt or a problem for each row. Raises `Stopped` when all are refused for one reason."""
    reply = client.post_lines([row.line for row in rows])
    if len(reply.results) == len(rows):
        return reply.results
    if reply.ok or reply.again != "later":
        raise _whole_call_failed(reply, client)
    return [reply] * len(rows)


def _whole_call_failed(reply: Reply, client: Client) -> Stopped:
    unlike = f"The answer from {client.address} does not fit the rows that were sent. Is it the function?"
    return Stopped(unlike if reply.ok else reply.text, reply.kind)


def _pause_s(problem: Result, tries: int) -> float:
    """How long to wait. Garmin's own "later" is obeyed. What the function advises to unattended callers is
    not: here somebody is waiting."""
    if problem.kind == "rate-limited" and problem.retry_after_s is not None:
        if problem.retry_after_s > LONGEST_WAIT_S:
            raise Stopped(f"{problem.text} That is in {problem.retry_after_s / 60:.0f} minutes.", problem.kind)
        return problem.retry_after_s
    if tries > len(PAUSES_S):
        raise Stopped(problem.text, problem.kind)
    return PAUSES_S[tries - 1]


def _parcels(rows: Sequence[WeighInLine], most: int, most_bytes: int) -> Iterator[list[WeighInLine]]:
    parcel: list[WeighInLine] = []
    size = 0
    for row in rows:
        if parcel and (len(parcel) == most or size + len(row.line) > most_bytes):
            yield parcel
            parcel, size = [], 0
        parcel.append(row)
        size += len(row.line) + 1
    if parcel:
        yield parcel
