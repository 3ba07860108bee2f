"""python -m sdk_fallback: verify our encoding with Garmin's FitCSVTool, or have it encode.

Exit codes of verify: 0 all agree · 1 something differs · 2 the chosen machine or tool cannot be used · 3 nothing is
available here, so nothing was verified.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from weighbridge.http.body import parse_json
from weighbridge.reading.interpret import interpret
from weighbridge.errors import FieldError, ReadingRejected, ValuesRejected, WeighbridgeError
from weighbridge.pipeline import READINGS_PER_FILE
from weighbridge.settings import read_settings

from .crosscheck import Case, cross_check, encode_by_garmin
from .errors import FallbackError, NothingAvailable
from .fitcsvtool import decode_command, judge
from .report import print_table, verify_golden
from .runners.port import Runner
from .runners.windows import MACHINES, runner_from

AGREES, DIFFERS, UNUSABLE, SKIPPED = range(4)


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run one command. What goes wrong is one sentence on stderr."""
    options = _parser().parse_args(arguments)
    try:
        with runner_from(environment, options.on) as runner:
            result: int = options.command(runner, options, environment)
    except NothingAvailable as fault:
        print(f"Skipped, nothing was verified: {fault}", file=sys.stderr)
        return SKIPPED
    except (FallbackError, WeighbridgeError, OSError) as fault:
        print(_sentence(fault), file=sys.stderr)
        return UNUSABLE
    return result


def verify(runner: Runner, options: argparse.Namespace, _environment: Mapping[str, str]) -> int:
    """The golden table, or one file."""
    if options.file is None:
        sections, differences = verify_golden(runner)
        print_table(runner, sections)
    else:
        (checked,) = cross_check(runner, [Case(options.file.read_bytes())])
        differences = checked.reading + checked.writing
    for difference in differences:
        print(difference)
    print("Something differs." if differences else "All agree.")
    return DIFFERS if differences else AGREES


def encode(runner: Runner, options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """One reading, or a list of them, into a file that Garmin's tool wrote."""
    settings = read_settings(environment)
    payload = parse_json(options.reading.read_bytes())
    payloads = payload if isinstance(payload, list) else [payload]
    if not 1 <= len(payloads) <= READINGS_PER_FILE:
        raise ReadingRejected([FieldError("", len(payloads), f"1 to {READINGS_PER_FILE} readings make a file.")])
    now = datetime.now(UTC)
    readings = [interpret(one, now=now, timezone=settings.timezone).reading for one in payloads]
    fit = encode_by_garmin(runner, settings.template.read_bytes(), readings)
    options.output.write_bytes(fit.content)
    print(f"{options.output}: {fit.readings} weigh-in(s), written by FitCSVTool on {runner.name}, proven by fitdecode.")
    return AGREES


def doctor(runner: Runner, _options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """The chain link by link, then one real run."""
    for link in runner.links():
        print(link)
    template = read_settings(environment).template.read_bytes()
    ran = runner.run({"template.fit": template}, [decode_command("template.fit", "template.csv")])
    judge(ran, 0, "template.csv")
    print(f"FitCSVTool works on {runner.name}: {ran.outcomes[0].output.splitlines()[0]}")
    return AGREES


def _sentence(fault: Exception) -> str:
    if isinstance(fault, ValuesRejected):
        return " ".join([str(fault), *(f"{error.field}: {error.message}".removeprefix(": ") for error in fault.errors)])
    if isinstance(fault, OSError):
        return f"{fault.filename}: {fault.strerror}"
    return str(fault)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sdk_fallback", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(required=True)
    check = commands.add_parser("verify", help="cross-check the golden table, or one file")
    check.add_argument("file", nargs="?", type=Path)
    check.set_defaults(command=verify)
    write = commands.add_parser("encode", help="have FitCSVTool write the file of a reading (JSON)")
    write.add_argument("reading", type=Path)
    write.add_argument("-o", "--output", type=Path, required=True)
    write.set_defaults(command=encode)
    look = commands.add_parser("doctor", help="see whether FitCSVTool can be used")
    look.set_defaults(command=doctor)
    for command in (check, write, look):
        command.add_argument("--on", choices=MACHINES, help="the machine (default: what is configured)")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
