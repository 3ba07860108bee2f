"""The commands `weighbridge sdk …`: check our encoding with Garmin's FitCSVTool, or have that tool encode.

Rule: the exit code gives the result: 0 all agree, 1 something differs, 2 the chosen machine or tool (or the input)
cannot be used, 3 nothing is available here, so nothing was verified, 4 a part cannot be compared and the rest agrees.
A fault is one sentence on standard error.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from weighbridge.delivery.port import Delivered, Prove
from weighbridge.errors import ValuesRejected, WeighbridgeError
from weighbridge.fit.profile import WEIGHT_SCALE_MESSAGE
from weighbridge.operate.fit import InMemory, read_payloads
from weighbridge.operate.fit import fit as understand
from weighbridge.operate.surroundings import Surroundings
from weighbridge.reading.reading import Reading
from weighbridge.settings import read_settings

from .canonical import Canonical, canonical
from .crosscheck import Case, cross_check, encode_by_garmin
from .errors import FallbackError, InputUnusable, NothingAvailable
from .fitcsvtool import checked_output, decode_command
from .golden import FULLEST
from .report import as_data, print_table, verify_golden
from .runners.port import Runner
from .runners.windows import MACHINES, runner_from

AGREES, DIFFERS, UNUSABLE, SKIPPED, NOT_COMPARED = range(5)

_on = click.option("--on", type=click.Choice(MACHINES), help="The machine (default: the one that is configured).")
_file = click.Path(path_type=Path)


@click.group()
def command() -> None:
    """Check our encoding with Garmin's FitCSVTool, or have it encode."""


@command.command()
@click.argument("file", required=False, type=_file)
@_on
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def verify(context: click.Context, file: Path | None, on: str | None, *, as_json: bool) -> None:
    """Cross-check the golden table, or one FIT file.

    \b
    Exit codes:
      0  all agree
      1  something differs
      2  the chosen machine or tool cannot be used
      3  nothing is available here, so nothing was verified
      4  a part of the file is not in Garmin's profile, so FitCSVTool cannot judge it; the rest agrees
    """
    with _runner(context, on) as (runner, _):
        if file is None:
            sections, differences, not_compared = verify_golden(runner)
        else:
            (checked,) = cross_check(runner, [Case(_weight_file(file))])
            sections, differences = [], checked.reading + checked.writing
            not_compared = checked.not_compared
        if as_json:
            result: dict[str, object] = {
                "agrees": not differences and not not_compared,
                "machine": runner.name,
                "differences": [str(difference) for difference in differences],
                "not_compared": not_compared,
            }
            click.echo(json.dumps(result | ({"templates": as_data(sections)} if file is None else {}), indent=2))
        else:
            if file is None:
                print_table(runner, sections)
            for difference in differences:
                click.echo(str(difference))
            if not_compared:
                click.echo(f"Cannot be compared: {', '.join(not_compared)}. Garmin's profile does not document it.")
            click.echo("Something differs." if differences else "The rest agrees." if not_compared else "All agree.")
    context.exit(DIFFERS if differences else NOT_COMPARED if not_compared else AGREES)


def _weight_file(path: Path) -> bytes:
    """The content of a file with weigh-ins, or of a damaged one. Raises `InputUnusable` for any other FIT file."""
    content = path.read_bytes()
    file = canonical(content)
    if isinstance(file, Canonical) and not any(message.number == WEIGHT_SCALE_MESSAGE for message in file.messages):
        raise InputUnusable(f"{path} is not a weight file: it has no weight_scale message.")
    return content


@command.command()
@click.argument("reading", type=click.Path(allow_dash=True))
@click.option("-o", "--output", required=True, type=_file, help="The FIT file to write.")
@_on
@click.pass_context
def encode(context: click.Context, reading: str, output: Path, on: str | None) -> None:
    """Have FitCSVTool write the FIT file of READING, which is read as by `weighbridge fit`."""
    with _runner(context, on) as (runner, environment):
        settings = read_settings(environment)
        content = sys.stdin.buffer.read() if reading == "-" else Path(reading).read_bytes()
        ours = _ReadingsOnly(output)
        understand(settings, read_payloads(content, name=reading), ours, datetime.now(UTC))
        fit = encode_by_garmin(runner, settings.template.read_bytes(), ours.readings)
        output.write_bytes(fit.content)
        click.echo(
            f"{output}: {fit.readings} weigh-in(s), written by FitCSVTool on {runner.name}, verified with fitdecode."
        )


@command.command()
@_on
@click.pass_context
def doctor(context: click.Context, on: str | None) -> None:
    """Check whether FitCSVTool can be used: step by step, then one real run."""
    with _runner(context, on) as (runner, environment):
        for link in runner.links():
            click.echo(link)
        template = read_settings(environment).template
        ran = runner.run({"template.fit": template.read_bytes()}, [decode_command("template.fit", "template.csv")])
        checked_output(ran, 0, "template.csv")
        # What `sdk encode` does, with a reading that fills the template.
        encode_by_garmin(runner, template.read_bytes(), [FULLEST.reading])
        click.echo(f"FitCSVTool works on {runner.name}: {ran.outcomes[0].output.splitlines()[0]}")
        click.echo(f"FitCSVTool writes a weigh-in with {template.name}, and fitdecode verifies it.")


class _ReadingsOnly(InMemory):
    """The delivery of `weighbridge fit`, which also remembers the readings."""

    readings: Sequence[Reading] = ()

    def deliver(self, readings: Sequence[Reading], prove: Prove, *, replace: bool) -> Mapping[Reading, Delivered]:
        self.readings = readings
        return super().deliver(readings, prove, replace=replace)


# -- faults ----------------------------------------------------------------------------------------------


class _Failed(click.ClickException):
    """One sentence on standard error, and an exit code."""

    exit_code = UNUSABLE

    def show(self, _file: object = None) -> None:
        click.echo(self.message, err=True)


class _Skipped(_Failed):
    exit_code = SKIPPED


@contextmanager
def _runner(context: click.Context, on: str | None) -> Iterator[tuple[Runner, Mapping[str, str]]]:
    """The machine, and the environment that names it, for the block. A fault ends the command."""
    around = context.find_object(Surroundings)
    environment = around.environment if around else os.environ
    try:
        with runner_from(environment, on) as runner:
            yield runner, environment
    except NothingAvailable as fault:
        raise _Skipped(f"Skipped, nothing was verified: {fault}") from None
    except (FallbackError, WeighbridgeError, OSError) as fault:
        raise _Failed(_message(fault)) from None


def _message(fault: Exception) -> str:
    if isinstance(fault, ValuesRejected):
        return " ".join([str(fault), *(f"{error.field}: {error.message}".removeprefix(": ") for error in fault.errors)])
    if isinstance(fault, OSError):
        return f"{fault.filename}: {fault.strerror}"
    return str(fault)
