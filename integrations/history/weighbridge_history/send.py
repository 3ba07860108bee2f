"""Checks readings, then sends them to the function in batches over HTTP and counts each row's outcome.

Strategy: nothing records what was sent. The function looks in Garmin before it sends, and the same reading makes the
same file. Whatever stopped an import, running it again sends only what is missing.

Rows are sent in the order of time: the function looks in Garmin at all days from the first to the last of a batch, and
Garmin takes longer for more days.

Rule: the function decides what happens to a row. A row is done when its receipt is `final`, refused when its problem
has `again: never`, and sent again after growing pauses when it has `later`. `after_repair` ends the import and counts
the rows that were not sent. A row that Garmin accepted but did not show is sent once more at the end.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from weighbridge.client import Client, Reply, Result
from weighbridge.errors import ReadingRejected
from weighbridge.reading.interpret import when_and_whose

from .outliers import Weight, weight_in
from .read import WeighInLine

#: Garmin may time out on a file with more (garmin-weight-sync issue 8 saw a 504).
BATCH = 200
#: A dry run sends nothing to Garmin, so its batches may be larger. A body stays far below the function's 1 MiB limit.
CHECKED_AT_ONCE, CHECKED_BYTES = 1_000, 600_000
IN_FLIGHT = 4
#: Pauses between tries of the same batch, if no row of it got through.
PAUSES_S = (1, 2, 4, 8, 16, 32, 60, 60, 60)
#: The longest wait that Garmin can ask for. If it asks for more, the import stops.
LONGEST_WAIT_S = 900
#: The words of the summary for each status.
STATUS_TEXTS = {
    "confirmed": "confirmed in Garmin Connect",
    "present": "already there",
    "accepted": "accepted by Garmin, not visible yet",
    "kept": "kept as files",
    "taken_back": "deleted in Garmin Connect",
    "nothing": "without a weigh-in",
}


class Stopped(Exception):
    """The import cannot continue. The message says why and what to do. `kind` is the name of the problem, if any."""

    def __init__(self, message: str, kind: str = "") -> None:
        super().__init__(message)
        self.kind = kind


class Pause(NamedTuple):
    """Why rows wait, and for how long."""

    problem: Result
    seconds: float


@dataclass
class ImportReport:
    """The outcomes of the rows so far."""

    #: The numbers of the rows that are done or refused.
    numbers: set[int] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    #: Each with its problem.
    refused: list[tuple[WeighInLine, Result]] = field(default_factory=list)
    #: Each with its code, its English text and perhaps parameters.
    warnings: list[tuple[WeighInLine, Mapping[str, Any]]] = field(default_factory=list)
    receipts: list[tuple[WeighInLine, Mapping[str, Any]]] = field(default_factory=list)
    #: The codes of all notes and warnings.
    codes: Counter[str] = field(default_factory=Counter)
    weights: list[Weight] = field(default_factory=list)

    @property
    def done(self) -> int:
        return sum(self.counts.values()) + len(self.refused)

    def count(self, row: WeighInLine, result: Result, *, keep: bool = False) -> None:
        parts = result.each()
        deciding = _deciding(parts)
        self.numbers.add(row.number)
        if not deciding.ok:
            self.refused.append((row, deciding))
            return
        self.counts[deciding.status] += 1
        for part in parts:
            self.warnings += [(row, warning) for warning in part.body.get("warnings", [])]
            for code in part.codes:
                self.codes[code] += 1
            if weight := weight_in(row.number, row.person, part.body):
                self.weights.append(weight)
            if keep:
                self.receipts.append((row, part.body))

    def recount(self, old: str, new: str) -> None:
        """Move one row from the status `old` to the status `new`."""
        self.counts.subtract([old])
        self.counts.update([new])
        self.counts = +self.counts  # drops counts of zero


def deciding_of(result: Result) -> Result:
    """The one that decides about a row. A row with several weigh-ins is done when each of them is."""
    return _deciding(result.each())


def _deciding(parts: Sequence[Result]) -> Result:
    return parts[0] if len(parts) == 1 else min(parts, key=_most_left_to_do)


def _most_left_to_do(result: Result) -> tuple[int, bool]:
    # "Never" before a receipt that is not final: the second look at the row would not tell it.
    left = ("after_repair", "later", "never").index(result.again) if not result.ok else 3 + result.final
    return left, result.status == "nothing"


def received(error: Mapping[str, Any], name: str) -> str:
    """The name of a value, and what was received for it, if anything was."""
    return name if error["input"] is None else f"{name} {error['input']!r}"


def reason_of(problem: Result) -> str:
    """What is wrong with a row, in the function's words, with the value it received."""
    errors = [f"{received(e, e['field'])}: {e['message']}" for e in problem.errors]
    return " ".join(errors) or str(problem.body.get("detail") or problem.text)


def check(
    client: Client, rows: Sequence[WeighInLine], *, shown: frozenset[int], progress: Callable[[int], None]
) -> ImportReport:
    """The outcome that each row would have. Nothing is sent. The receipts of the rows numbered in `shown` are kept.

    Raises `Stopped`.
    """
    outcome = ImportReport()
    pending: list[tuple[Sequence[WeighInLine], Future[Sequence[Result]]]] = []

    def dry_run(batch: Sequence[WeighInLine]) -> Sequence[Result]:
        reply = client.post_lines([row.line for row in batch], dry_run=True)
        if len(reply.results) != len(batch):
            raise _whole_call_failed(reply, client)
        return reply.results

    def collect() -> None:
        batch, future = pending.pop(0)
        for row, result in zip(batch, future.result(), strict=True):
            outcome.count(row, result, keep=row.number in shown)
        progress(outcome.done)

    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        for batch in _batches(rows, CHECKED_AT_ONCE, CHECKED_BYTES):
            pending.append((batch, pool.submit(dry_run, batch)))
            if len(pending) == IN_FLIGHT:
                collect()
        while pending:
            collect()
    return outcome


def send(
    client: Client,
    rows: Sequence[WeighInLine],
    outcome: ImportReport,
    *,
    progress: Callable[[int, Pause | None], None],
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Deliver each row that is not in `outcome`, and keep that up to date, even if the import stops. Raises
    `Stopped`."""
    not_final: list[WeighInLine] = []
    left = [row for row in rows if row.number not in outcome.numbers]
    for batch in _batches(by_time(left), BATCH, CHECKED_BYTES):
        waiting, tries = list(batch), 0
        while waiting:
            later: list[tuple[WeighInLine, Result]] = []
            ending: Result | None = None
            for row, result in zip(waiting, _post(client, waiting), strict=True):
                deciding = deciding_of(result)
                if deciding.ok or deciding.again == "never":
                    outcome.count(row, result)
                    not_final += [row] * (deciding.ok and not deciding.final)
                elif deciding.again == "later":
                    later.append((row, deciding))
                else:
                    ending = deciding
            progress(outcome.done, None)
            if ending:  # after the other rows of the batch, some of which may have arrived
                raise Stopped(ending.text, ending.kind)
            tries = tries + 1 if len(later) == len(waiting) else 1
            waiting = [row for row, _ in later]
            if later:
                problem = later[-1][1]
                pause_s = _pause_s(problem, tries)
                progress(outcome.done, Pause(problem, pause_s))
                sleep(pause_s)
    for batch in _batches(not_final, BATCH, CHECKED_BYTES):
        # This may fail without harm: "accepted" stays true.
        for result in map(deciding_of, client.post_lines([row.line for row in batch]).results):
            if result.final:
                # It is present because this import sent it.
                outcome.recount("accepted", "confirmed" if result.status == "present" else result.status)
        progress(outcome.done, None)


def by_time(rows: Sequence[WeighInLine]) -> list[WeighInLine]:
    """The rows in the order of their times. Those without one that can be read are the last."""
    now = datetime.now(UTC)

    def instant(row: WeighInLine) -> datetime:
        try:
            # A time without an offset is in one zone in all rows, whichever it is.
            return when_and_whose(json.loads(row.line), now=now, timezone=UTC)[0]
        except (ReadingRejected, ValueError, RecursionError):
            return now

    return sorted(rows, key=instant)


def _post(client: Client, rows: Sequence[WeighInLine]) -> Sequence[Result]:
    """A receipt or a problem for each row. Raises `Stopped` if the whole call failed and should not be repeated."""
    reply = client.post_lines([row.line for row in rows])
    if len(reply.results) == len(rows):
        return reply.results
    if reply.ok or reply.again != "later":
        raise _whole_call_failed(reply, client)
    return [reply] * len(rows)


def _whole_call_failed(reply: Reply, client: Client) -> Stopped:
    unexpected = (
        f"The answer from {client.address} does not match the rows that were sent. Is it the address of the function?"
    )
    return Stopped(unexpected if reply.ok else reply.text, reply.kind)


def _pause_s(problem: Result, tries: int) -> float:
    """How long to wait. Garmin's own pause is kept. The function's advice is not: it is meant for unattended callers,
    and here someone is waiting."""
    if problem.kind == "rate-limited" and problem.retry_after_s is not None:
        if problem.retry_after_s > LONGEST_WAIT_S:
            raise Stopped(
                f"{problem.text} Run the import again in {problem.retry_after_s / 60:.0f} minutes.", problem.kind
            )
        return problem.retry_after_s
    if tries > len(PAUSES_S):
        raise Stopped(problem.text, problem.kind)
    return PAUSES_S[tries - 1]


def _batches(rows: Sequence[WeighInLine], most: int, most_bytes: int) -> Iterator[list[WeighInLine]]:
    batch: list[WeighInLine] = []
    size = 0
    for row in rows:
        if batch and (len(batch) == most or size + len(row.line) > most_bytes):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += len(row.line) + 1
    if batch:
        yield batch
