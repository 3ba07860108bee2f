"""weighbridge fit: reading -> proven FIT file. Nothing is sent, and no server is needed.

Rule: all readings of the input make one file, or there is no file. The file is proven before it is written.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..compose import compose
from ..delivery.port import Delivered, Prove, file_name
from ..errors import CallerFault, FieldError, FolderUnusable, NotJson, ReadingRejected, TooLarge, WeighbridgeError
from ..fit.patch import READINGS_PER_FILE
from ..fit.verify import VerifiedFit
from ..http.body import Payloads, parse_json, read_body
from ..http.problems import problem
from ..reading.bodies import Item
from ..reading.reading import Reading
from ..reasons import Why
from ..settings import Settings, read_settings
from . import options
from .surroundings import Surroundings

if TYPE_CHECKING:
    from ..receipt import Receipt

STANDARD = "-"


@click.command("fit")
@click.argument("reading", type=click.Path(allow_dash=True))
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(allow_dash=True),
    help="Where to write the file; - is standard output. Default: a name made from its time, in this folder.",
)
@options.as_json
@click.pass_obj
def command(around: Surroundings, reading: str, output: str | None, *, as_json: bool) -> int:
    """Make the FIT file of READING: a file with one reading in JSON, or up to 200 in a JSON array or NDJSON. - reads
    standard input.

    The file is decoded and compared before it is written. Nothing is sent: import it at
    https://connect.garmin.com/app/import-data
    """
    if as_json and output == STANDARD:
        raise click.UsageError("--json and -o - both write to standard output. Choose one.")
    try:
        return _make(around, reading, output, as_json=as_json)
    except CallerFault as fault:
        if not as_json:
            raise
        print(options.to_json(problem(fault)))
        return 1


def _make(around: Surroundings, source: str, output: str | None, *, as_json: bool) -> int:
    settings = read_settings(around.environment)
    payloads = read_payloads(_read(source), name=source)
    delivery = InMemory(None if output in (None, STANDARD) else Path(str(output)))
    receipts = fit(settings, payloads, delivery, datetime.fromtimestamp(around.now(), UTC))
    if output == STANDARD:
        sys.stdout.buffer.write(delivery.fit.content)
    else:
        _write(delivery.path, delivery.fit.content, source)
    if as_json:
        print(options.to_json({"results": receipts} if payloads.many or len(receipts) > 1 else receipts[0]))
        return 0
    said = sys.stderr if output == STANDARD else sys.stdout
    if output != STANDARD:
        print(delivery.path, file=said)
    for receipt in receipts:
        for line in _lines(receipt, several=len(receipts) > 1):
            print(f"  {line}", file=said)
    return 0


@dataclass
class InMemory:
    """A `Delivery` that keeps the proven file in memory. `asked`: the path for it, or the folder."""

    asked: Path | None
    name: str = "file"
    path: Path = field(init=False)
    fit: VerifiedFit = field(init=False)

    def deliver(
        self,
        readings: Sequence[Reading],
        prove: Prove,
        *,
        replace: bool,  # noqa: ARG002  # the port's
        untimed: Collection[Reading] = (),  # noqa: ARG002  # the port's
    ) -> Mapping[Reading, Delivered]:
        self.fit = prove(readings)
        usual = file_name(readings, self.fit)
        self.path = self.asked or Path(usual)
        if self.path.is_dir():
            self.path /= usual
        return dict.fromkeys(readings, Delivered("kept", self.fit, file_name=self.path.name))

    def take_back(self, measured_at: datetime, person: str | None) -> bool:  # noqa: ARG002  # the port's
        return False

    def health(self) -> Mapping[str, object]:
        return {"name": self.name, "ready": True}


def fit(settings: Settings, payloads: Payloads, delivery: InMemory, now: datetime) -> list[Receipt]:
    """The receipts; the proven file is `delivery.fit`. Raises a `WeighbridgeError` if a reading has a fault."""
    weigh_ins = payloads.weigh_ins()
    count = len(weigh_ins)
    if not 1 <= count <= READINGS_PER_FILE:
        raise ReadingRejected([FieldError("", count, Why.READINGS_OF_A_FILE(maximum=READINGS_PER_FILE))])
    # Garmin is not needed, so not even its library is imported.
    composed = compose(replace(settings, delivery=("folder",)))
    weighbridge = replace(composed.weighbridge, delivery=delivery)
    # If a list has a bad reading, the good ones stay in memory, which does no harm.
    results = weighbridge.weigh(map(Item, weigh_ins), now=now, dry_run=False, replace=False)
    receipts = [result for result in results if not isinstance(result, WeighbridgeError)]
    if len(receipts) < len(results):
        raise _as_one(results)
    return receipts


def _as_one(results: Sequence[Receipt | WeighbridgeError]) -> WeighbridgeError:
    """One fault for all; of several readings, with each rejected value and the number of its reading."""
    faults = [(number, result) for number, result in enumerate(results, 1) if isinstance(result, WeighbridgeError)]
    rejected = [(number, fault) for number, fault in faults if isinstance(fault, ReadingRejected)]
    if len(results) == 1 or len(rejected) < len(faults):
        return next(fault for _, fault in faults if len(results) == 1 or not isinstance(fault, ReadingRejected))
    return ReadingRejected(
        [
            replace(error, field=f"reading {number}{', ' if error.field else ''}{error.field}")
            for number, fault in rejected
            for error in fault.errors
        ]
    )


# -- in and out --------------------------------------------------------------------------------------------


def _read(source: str) -> bytes:
    if source == STANDARD:
        return sys.stdin.buffer.read()
    try:
        return Path(source).read_bytes()
    except OSError as e:
        raise NotJson(f"{source} cannot be read: {e.strerror}.") from None


def read_payloads(content: bytes, *, name: str) -> Payloads:
    """The readings of a file: JSON, or a JSON text in each line. Raises `NotJson` or `TooLarge`."""
    media_type = "application/json"
    if name.lower().endswith((".ndjson", ".jsonl")) or _is_lines(content):
        media_type = "application/x-ndjson"
    try:
        return read_body(content, media_type, {})
    except (NotJson, TooLarge) as fault:
        where = "standard input" if name == STANDARD else name
        raise type(fault)(f"{where}: {fault}") from None


def _is_lines(content: bytes) -> bool:
    """Whether the first line is a complete JSON object, and more lines follow."""
    first, _, rest = content.strip().partition(b"\n")
    if not rest.strip():
        return False
    try:
        return isinstance(parse_json(first), dict)
    except CallerFault:
        return False


def _write(path: Path, content: bytes, source: str) -> None:
    try:
        if source != STANDARD and path.exists() and path.samefile(source):
            raise FolderUnusable(f"{path} is the reading itself and would be overwritten. Choose another output.")
        path.write_bytes(content)
    except OSError as e:
        raise FolderUnusable(f"{path} cannot be written: {e.strerror}.") from None


def _lines(receipt: Receipt, *, several: bool) -> list[str]:
    when = f"{receipt['measured_at']}: " if several else ""
    texts = [note["text"] for note in (*receipt["notes"], *receipt["warnings"])]
    # The summary holds some of the warnings.
    return [when + receipt["summary"], *(text for text in texts if text not in receipt["summary"])]
