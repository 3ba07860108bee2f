"""Garmin's FitCSVTool: its command lines, its CSV, and whether a run can be trusted.

Rule: exit code 0 proves nothing. A run is trusted when the tool reports no trouble, wrote the one file that it was
asked for, and that file has all the rows (a failed encoding still leaves 16 bytes of FIT with a valid CRC).

Facts (from running versions 21.120 to 21.212):
- A CSV is UTF-8 with a byte order mark; rows are padded; values of Data rows are quoted; arrays use |.
- A field that is invalid in the file is left out of a Data row, never of a Definition row.
- A field or message that is not in the tool's profile is called `unknown`. Its number is lost; `-c` cannot write it.
- `-c` writes big-endian, silently turns a value that does not fit into "invalid", and rounds value × scale in binary:
  5.015 kg becomes 501, although 501.5 is a tie. So the values passed to it are already rounded, half up.
- `-e` prints 82.35 kg as 82. Versions up to 21.53 call bmi `unknown`; from 21.120 on, all know every field we write.

Weakness: `_TROUBLE` knows the messages of these versions. A new message from a newer tool would go unnoticed; the
comparison of the values is the second line of defense.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from weighbridge.fit.profile import DEVELOPER, FIT_EPOCH_UNIX_S, WEIGHT_SCALE, Field
from weighbridge.reading.reading import Reading

from .errors import RunFailed, RunnerUnusable
from .runners.port import Ran, ToolRun

ARTIFACT = "com.garmin:fit:21.212.0"
MAIN_CLASS = "com.garmin.fit.csv.CSVTool"
OLDEST_PROFILE = (21, 120)

#: What the tool calls a field or message that its profile does not have.
UNKNOWN = "unknown"

#: Words in the tool's output that mean trouble, whatever its exit code.
_TROUBLE = re.compile(r"^.*(?:Error:|Warning:|Ignored|Usage:|File does not exist|Exception).*$", re.MULTILINE)
_BANNER = re.compile(r"FIT CSV Tool - Protocol \S+ Profile (\d+)\.(\d+)")
#: Even an empty FIT file has a header of 14 bytes and a CRC of 2.
_EMPTY_FIT_BYTES = 16


def decode_command(fit: str, csv_file: str) -> tuple[str, ...]:
    return ("-b", fit, csv_file)


def encode_command(csv_file: str, fit: str) -> tuple[str, ...]:
    return ("-c", csv_file, fit)


def checked_output(ran: Ran, number: int, file: str) -> bytes:
    """The content of `file`, which run `number` of a batch was asked to write.

    Raises `RunFailed` when it cannot be trusted, and `RunnerUnusable` when the tool is the wrong one.
    """
    outcome = ran.outcomes[number]
    _check_version(outcome)
    trouble = _TROUBLE.search(outcome.output)
    if outcome.exit_code != 0 or trouble:
        said = trouble[0].strip()[:200] if trouble else "nothing"
        raise RunFailed(f"FitCSVTool ended with exit code {outcome.exit_code} and printed: {said}")
    content = ran.files.get(file)
    if not content:
        raise RunFailed(f"FitCSVTool reported no trouble, but did not write {file}.")
    if file.endswith(".fit") and len(content) <= _EMPTY_FIT_BYTES:
        raise RunFailed("FitCSVTool reported no trouble, but wrote a FIT file without messages.")
    return content


def _check_version(outcome: ToolRun) -> None:
    banner = _BANNER.search(outcome.output)
    if banner is None:
        said = next((line.strip() for line in outcome.output.splitlines() if line.strip()), "nothing")[:200]
        raise RunnerUnusable(f"This is not Garmin's FitCSVTool, or Java cannot run it. It printed: {said}")
    version = int(banner[1]), int(banner[2])
    if version < OLDEST_PROFILE:
        wanted = ".".join(map(str, OLDEST_PROFILE))
        raise RunnerUnusable(f"This FitCSVTool has profile {banner[1]}.{banner[2]}; {wanted} or newer is needed.")


# -- CSV -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CsvRow:
    """One row: a definition (values are element counts) or a message."""

    kind: str
    local: str
    message: str
    #: (name, value, unit), in order.
    cells: tuple[tuple[str, str, str], ...]

    @property
    def values(self) -> Mapping[str, str]:
        return {name: value for name, value, _ in self.cells}


def read_csv(content: bytes) -> list[CsvRow]:
    """The rows of the tool's CSV. Raises `RunFailed` for a CSV that is not the tool's."""
    try:
        lines = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    except (UnicodeDecodeError, csv.Error):
        raise RunFailed("FitCSVTool's output file is not a CSV in UTF-8.") from None
    if not lines or lines[0][:3] != ["Type", "Local Number", "Message"]:
        raise RunFailed("The CSV does not begin with FitCSVTool's column names.")
    rows = []
    for number, line in enumerate(filter(None, lines[1:]), 2):
        kind, local, message, *rest = [*line, "", "", ""] if len(line) < 3 else line
        triples = zip(*[iter(rest)] * 3, strict=False)  # a row ends with a comma
        cells = tuple((name, value, unit) for name, value, unit in triples if name)
        names = [name for name, _, _ in cells if name != UNKNOWN]
        if kind not in ("Definition", "Data"):
            raise RunFailed(f"Row {number} of the CSV is neither a definition nor a message.")
        if len(set(names)) != len(names):
            raise RunFailed(f"Row {number} of the CSV has a duplicate field.")
        rows.append(CsvRow(kind, local, message, cells))
    return rows


def without_unknown(rows: Sequence[CsvRow]) -> list[CsvRow]:
    """What the tool can write back: it would ignore the rest, and say so."""
    return [
        CsvRow(row.kind, row.local, row.message, tuple(cell for cell in row.cells if cell[0] != UNKNOWN))
        for row in rows
        if row.message != UNKNOWN
    ]


def write_csv(rows: Sequence[CsvRow]) -> bytes:
    """The CSV of these rows, as the tool writes it."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    most = max((len(row.cells) for row in rows), default=0)
    titles = [f"{title} {number}" for number in range(1, most + 1) for title in ("Field", "Value", "Units")]
    writer.writerow(["Type", "Local Number", "Message", *titles, ""])
    for row in rows:
        writer.writerow([row.kind, row.local, row.message, *(part for cell in row.cells for part in cell), ""])
    return b"\xef\xbb\xbf" + text.getvalue().encode()


# -- readings --------------------------------------------------------------------------------------------


def fill_in(template: Sequence[CsvRow], readings: Sequence[Reading]) -> list[CsvRow]:
    """The rows of a file with these readings: the template's rows, with its one weigh-in repeated for each reading."""
    rows: list[CsvRow] = []
    fields: frozenset[str] = frozenset()
    for row in template:
        if row.kind == "Definition":
            fields = frozenset(row.values) if row.message == "weight_scale" else fields
            rows.append(row)
        elif row.message == "weight_scale":
            rows += [_weigh_in(row, fields, reading) for reading in readings]
        elif row.message == "file_id" and "time_created" in row.values:
            created = str(_timestamp(readings[0]))
            cells = tuple((n, created if n == "time_created" else v, u) for n, v, u in row.cells)
            rows.append(CsvRow(row.kind, row.local, row.message, cells))
        else:
            rows.append(row)
    return rows


def _weigh_in(row: CsvRow, fields: frozenset[str], reading: Reading) -> CsvRow:
    values = {field.name: text for field in (*WEIGHT_SCALE, *DEVELOPER) if (text := text_of(reading, field))}
    cells = tuple((name, text, "") for name, text in values.items() if name in fields)
    return CsvRow(row.kind, row.local, row.message, cells)


def text_of(reading: Reading, field: Field) -> str:
    """The text of a reading's field in a CSV, rounded half up to the field's step; "" if it has no value."""
    if field.name == "timestamp":
        return str(_timestamp(reading))
    value = getattr(reading, field.source) if field.source else None
    if value is None:
        return ""
    steps = 100 if field in DEVELOPER else field.scale
    rounded = (Decimal(value) * steps).to_integral_value(ROUND_HALF_UP) / steps
    return f"{rounded:f}"


def _timestamp(reading: Reading) -> int:
    return int(reading.measured_at.timestamp()) - FIT_EPOCH_UNIX_S
