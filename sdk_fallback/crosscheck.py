"""Our files × Garmin's tool -> the differences, for reading and for writing.

Strategy: always two batches, however many files there are. In the first, the tool reads every file and the templates.
In the second, it writes every file from its readings. A failure on one file counts as a difference of that file. What
the tool does not know it cannot judge: that is named and left out of the comparison, and is never a difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from weighbridge.errors import ProofFailed
from weighbridge.fit.encode import encode
from weighbridge.fit.patch import patch
from weighbridge.fit.template import read_template
from weighbridge.fit.verify import VerifiedFit, verify
from weighbridge.reading.reading import Reading

from .canonical import Canonical, Damaged, canonical
from .compare import NOTHING_UNKNOWN, Difference, compare_files, compare_texts, unknown_in, without
from .errors import RunFailed
from .fitcsvtool import (
    CsvRow,
    checked_output,
    decode_command,
    encode_command,
    fill_in,
    read_csv,
    without_unknown,
    write_csv,
)
from .runners.port import Ran, Runner


@dataclass(frozen=True)
class Case:
    """One of our files, and what it should contain."""

    content: bytes = field(repr=False)
    #: The template and the readings that it was made from. Without them, the tool writes back what it has read.
    template: bytes | None = field(default=None, repr=False)
    readings: Sequence[Reading] = ()


@dataclass(frozen=True)
class Checked:
    """The differences of one file. It agrees when there are none either way, and everything was compared."""

    reading: list[Difference]
    writing: list[Difference]
    #: Fields and messages that Garmin's profile does not document, such as "device_info: field 8".
    not_compared: list[str]

    @property
    def agrees(self) -> bool:
        return not self.reading and not self.writing and not self.not_compared


def cross_check(runner: Runner, cases: Sequence[Case]) -> list[Checked]:
    """The result for each case, after Garmin's tool has read and written all of them. Raises `RunnerUnusable`."""
    templates = list(dict.fromkeys(case.template for case in cases if case.template is not None))
    files = {f"ours{number}.fit": case.content for number, case in enumerate(cases)}
    files |= {f"template{number}.fit": content for number, content in enumerate(templates)}
    read = runner.run(files, [decode_command(name, name.replace(".fit", ".csv")) for name in files])
    texts = {name: _rows(read, number, name.replace(".fit", ".csv")) for number, name in enumerate(files)}

    to_write: dict[int, bytes] = {}
    troubles: dict[int, Difference] = {}
    for number, case in enumerate(cases):
        source = f"ours{number}.fit" if case.template is None else f"template{templates.index(case.template)}.fit"
        rows = texts[source]
        if isinstance(rows, Difference):
            troubles[number] = rows
        else:
            rows = without_unknown(rows)
            to_write[number] = write_csv(fill_in(rows, case.readings) if case.readings else rows)
    written = runner.run(
        {f"garmin{number}.csv": content for number, content in to_write.items()},
        [encode_command(f"garmin{number}.csv", f"garmin{number}.fit") for number in to_write],
    )
    runs = {number: run for run, number in enumerate(to_write)}
    checked = []
    for number, case in enumerate(cases):
        ours, rows = canonical(case.content), texts[f"ours{number}.fit"]
        if isinstance(ours, Damaged):
            damaged = [Difference("the file", _damaged(ours), "not compared")]
            checked.append(Checked(damaged, damaged, []))
            continue
        unknown = NOTHING_UNKNOWN if isinstance(rows, Difference) else unknown_in(ours, rows)
        known = without(ours, unknown)
        checked.append(
            Checked(
                [rows] if isinstance(rows, Difference) else compare_texts(known, without_unknown(rows)),
                [troubles[number]]
                if number in troubles
                else _compare_writing(known, written, runs[number], f"garmin{number}.fit"),
                unknown.names,
            )
        )
    return checked


def _rows(ran: Ran, number: int, file: str) -> list[CsvRow] | Difference:
    try:
        return read_csv(checked_output(ran, number, file))
    except RunFailed as fault:
        return Difference("the file", "intact", _unusable(fault))


def _damaged(file: Damaged) -> str:
    return f"damaged ({file.why.rstrip('.')})"


def _unusable(fault: RunFailed) -> str:
    return f"unusable ({str(fault).rstrip('.')})"


def _compare_writing(ours: Canonical, ran: Ran, number: int, file: str) -> list[Difference]:
    try:
        theirs = canonical(checked_output(ran, number, file))
    except RunFailed as fault:
        return [Difference("the file", "intact", _unusable(fault))]
    if isinstance(theirs, Damaged):
        return [Difference("the file", "intact", _damaged(theirs))]
    return compare_files(ours, theirs)


# -- the fallback ----------------------------------------------------------------------------------------


def encode_by_garmin(runner: Runner, template: bytes, readings: Sequence[Reading]) -> VerifiedFit:
    """The file of these readings, encoded by Garmin's tool: template -> CSV, fill in the values, CSV -> FIT, prove.

    The proof: fitdecode decodes exactly the expected values, and the file has the same canonical form as ours.
    Raises `RunnerUnusable`, `RunFailed` or `ProofFailed`.
    """
    read = runner.run({"template.fit": template}, [decode_command("template.fit", "template.csv")])
    rows = read_csv(checked_output(read, 0, "template.csv"))
    mine = canonical(template)
    if isinstance(mine, Canonical) and (unknown := unknown_in(mine, rows)).names:
        raise RunFailed(
            f"FitCSVTool cannot write this template: it does not know {', '.join(unknown.names)}. Use a template "
            "without it, such as the one that Weighbridge brings."
        )
    files = {
        "one.csv": write_csv(fill_in(rows, readings[:1])),
        "all.csv": write_csv(fill_in(rows, readings)),
    }
    written = runner.run(files, [encode_command("one.csv", "one.fit"), encode_command("all.csv", "all.fit")])
    one, content = checked_output(written, 0, "one.fit"), checked_output(written, 1, "all.fit")
    raws = [encode(reading) for reading in readings]
    theirs, ours = canonical(content), canonical(patch(read_template(template), raws))
    if not isinstance(theirs, Canonical) or not isinstance(ours, Canonical) or compare_files(ours, theirs):
        raise ProofFailed("The file that Garmin's tool wrote differs from our encoder's.")
    return verify(content, read_template(one), raws)
