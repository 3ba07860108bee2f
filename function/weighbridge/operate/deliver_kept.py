"""weighbridge kept deliver: deliver the kept files once a sign-in works, and confirm each.

Rule: nothing is sent until somebody has seen and confirmed it, or has passed --yes (or `refresh --deliver-kept`). A
file is put away only when each of its weigh-ins was read back from Garmin Connect, with all values that Garmin can
show, or was there already. A fault that every file would have (no sign-in, no network, a rate limit) ends the run; a
fault of one file does not. Run it as often as you like: the same file stays the same weigh-in. Measurements are printed
at a terminal only, before the question, never to a log.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence

import click

from ..commands import DEFAULT_TOKEN
from ..commands import command as typed
from ..compose import garmin_connect, garmin_names, only_files
from ..delivery.chain import Chain
from ..delivery.joining import would
from ..delivery.kept import Kept, place_in_folder, put_away
from ..delivery.port import Delivered, Delivery, Outcome
from ..errors import (
    Conflict,
    GarminUnreachable,
    RateLimited,
    SettingsInvalid,
    SignInNeeded,
    TokenStoreUnusable,
    WeighbridgeError,
)
from ..notes import Code
from ..pipeline import Prover
from ..reading.reading import Reading
from ..settings import GARMIN, Settings, read_settings
from . import options
from .confirm import read_all, say
from .surroundings import Surroundings, Terminal

SHARED = (SettingsInvalid, SignInNeeded, TokenStoreUnusable, RateLimited, GarminUnreachable)


@click.command("deliver")
@options.name
@click.option("--replace", is_flag=True, help="Replace entries at the same instant that have fewer or other values.")
@options.yes
@click.pass_obj
def command(around: Surroundings, name: str, *, replace: bool, yes: bool) -> int:
    """Deliver the kept files to Garmin Connect, and put away what was read back.

    The exit code is 0 when no file is left.
    """
    settings = read_settings(around.environment).for_person(name)
    kept, unusable = read_all(settings)
    if not kept:
        if not unusable:
            print(f"No files are waiting in {settings.folder}.")
        return 1 if unusable else 0
    if not yes and not _agreed(kept, settings, around.terminal):
        return 1
    return 1 if _deliver_all(kept, settings, garmin_names(settings), replace=replace) or unusable else 0


def deliver_unasked(settings: Settings) -> bool:
    """Deliver the kept files of this account with its token, without a question. True when no file is left.

    Not with a browser: its profile allows one session, which is the function's.
    """
    names = [name for name in garmin_names(settings) if name in GARMIN]
    if only_files(settings) or not names:
        return True
    kept, unusable = read_all(settings)
    return not (_deliver_all(kept, settings, names, replace=False) if kept else 0) and not unusable


def _agreed(kept: Sequence[Kept], settings: Settings, terminal: Terminal) -> bool:
    count = sum(len(each.readings) for each in kept)
    if not terminal.is_there():
        print(
            f"{len(kept)} file(s) wait in {settings.folder}. This is not a terminal, so nobody can confirm them. "
            f"To send them without asking: {typed('kept deliver --yes', settings.token_name)}.",
            file=sys.stderr,
        )
        return False
    for each in kept:
        for reading in each.readings:
            print(f"  {shown(reading, settings)}")
    account = "" if settings.token_name == DEFAULT_TOKEN else f", the account of {settings.token_name}"
    try:
        answer = terminal.ask(
            f"Send {'this weigh-in' if count == 1 else f'these {count} weigh-ins'} to Garmin Connect{account}? [y/N] "
        )
    except EOFError:
        print()
        answer = ""
    if answer.strip().lower() in ("y", "yes"):
        return True
    print("Nothing was sent.")
    return False


def shown(reading: Reading, settings: Settings) -> str:
    """Date, time and weight, for a person."""
    return f"{reading.measured_at.astimezone(settings.timezone):%Y-%m-%d %H:%M}  {reading.weight_kg:.2f} kg"


def _deliver_all(kept: Sequence[Kept], settings: Settings, names: Sequence[str], *, replace: bool) -> int:
    """Deliver the files. Returns how many are left."""
    left, waiting = 0, len(kept)
    try:
        delivery = Chain([garmin_connect(name, settings) for name in names])
        for number, each in enumerate(kept):
            waiting = len(kept) - number
            try:
                left += not _settle(each, _deliver(each, delivery, replace=replace))
            except SHARED:
                raise
            except WeighbridgeError as fault:
                left += 1
                say("waits", place_in_folder(each.path), _reason(fault))
    except SHARED as fault:
        print(f"{fault} {waiting} file(s) still wait in {settings.folder}.", file=sys.stderr)
        return waiting
    return left


def _deliver(kept: Kept, delivery: Delivery, *, replace: bool) -> Collection[Outcome]:
    return delivery.deliver(kept.readings, Prover(kept.template, kept.rows), replace=replace).values()


def _settle(kept: Kept, outcomes: Collection[Outcome]) -> bool:
    """Report the outcome of a file. True when all of it has arrived."""
    open_ = [outcome for outcome in outcomes if not _has_arrived(outcome)]
    if not open_:
        put_away(kept)
        statuses = sorted({o.status for o in outcomes if isinstance(o, Delivered)})
        say(" and ".join(statuses), place_in_folder(kept.path))
        return True
    for reason in dict.fromkeys(_reason(outcome) for outcome in open_):
        say("waits", place_in_folder(kept.path), reason)
    return False


def _has_arrived(outcome: Outcome) -> bool:
    return (
        isinstance(outcome, Delivered)
        and outcome.status in ("confirmed", "present")
        and not any(warning.why in _NOT_DONE for warning in outcome.warnings)
    )


#: With these a file waits, whatever the status.
_NOT_DONE = (Code.NOT_SHOWN, Code.REPLACED_ENTRY_REMAINS)


def _reason(outcome: Outcome) -> str:
    if isinstance(outcome, Conflict):
        ways = would(outcome.added, outcome.changed)
        return f"Garmin Connect holds an entry at this instant. {ways} To do so, pass --replace."
    if isinstance(outcome, WeighbridgeError):
        return str(outcome)
    again = " To send it again, pass --replace." if Code.NOT_SHOWN in {w.why for w in outcome.warnings} else ""
    return " ".join(map(str, outcome.warnings)) + again
