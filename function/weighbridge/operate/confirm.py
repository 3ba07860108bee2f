"""weighbridge confirm: check whether the kept files have arrived in Garmin Connect, and put away those that have.

Rule: nothing is sent. A file counts as confirmed when each of its weigh-ins was read back, with all values that Garmin
can show. With a key of Garmin's
official Personal API this needs no sign-in at all, so files imported by hand are confirmed too.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import timedelta

import click

from ..commands import command as typed
from ..compose import garmin_connect, garmin_names, personal_api
from ..delivery.joining import in_words
from ..delivery.kept import Kept, kept_files, put_away, read_kept
from ..errors import FolderUnusable
from ..fit.encode import RawFields
from ..garmin.entries import Entry, fits, raws_of
from ..reading.weighing import added, is_one_weighing
from ..settings import Settings, read_settings
from . import options
from .surroundings import Surroundings

DAY = timedelta(days=1)


@click.command("confirm")
@options.name
@click.pass_obj
def command(around: Surroundings, name: str) -> int:
    """Check whether the kept files have arrived in Garmin Connect, and put away those that have. Nothing is sent."""
    settings = read_settings(around.environment).for_person(name)
    kept, unusable = read_all(settings)
    missing = _confirm(settings, kept) if kept else 0
    if not kept and not unusable:
        print(f"No files are waiting in {settings.folder}.")
    return 1 if missing or unusable else 0


def read_all(settings: Settings) -> tuple[list[Kept], int]:
    """The files that wait in the folder, and the number of damaged ones, which are reported."""
    kept: list[Kept] = []
    unusable = 0
    for path in kept_files(settings.folder):
        try:
            kept.append(read_kept(path))
        except FolderUnusable as fault:
            unusable += 1
            say("unknown", path.name, str(fault))
    return kept, unusable


def say(what: str, file_name: str, why: str = "") -> None:
    print(f"  {what:<11}{file_name}{f': {why}' if why else ''}", flush=True)


def _confirm(settings: Settings, kept: Sequence[Kept]) -> int:
    """The number of files that have not arrived. Raises what the store raises."""
    official = personal_api(settings)
    if official and (announced := official.health().get("detail")):
        print(announced, file=sys.stderr)
    look = official.weigh_ins if official else garmin_connect(garmin_names(settings)[0], settings).entries
    missing = 0
    for each in kept:
        days = [reading.measured_at.date() for reading in each.readings]
        held = look(min(days) - DAY, max(days) + DAY)
        shown = [_missing(raws, held, settings.join_s) for raws in each.rows.values()]
        if not any(shown):
            put_away(each)
            say("confirmed", each.path.name)
            continue
        missing += 1
        absent = sum("weight_kg" in names for names in shown)
        if absent:
            say("missing", each.path.name, f"{absent} of {len(shown)} not in Garmin.")
        else:
            names = in_words([*dict.fromkeys(name for names in shown for name in names)])
            again = typed("kept deliver --replace", settings.token_name)
            say("incomplete", each.path.name, f"Garmin Connect does not show {names}. To send it again: {again}.")
    if missing:
        name = settings.token_name
        print(
            f"Import the missing files by hand, or have them delivered: {typed('login', name)}, then "
            f"{typed('kept deliver', name)}."
        )
    return missing


def _missing(raws: RawFields, held: Sequence[Entry], join_s: float) -> Sequence[str]:
    """The attributes of a kept weigh-in that Garmin does not show; the weight among them if it shows none of it."""
    entries = [(raws_of(entry), fits(raws, entry, near=False)) for entry in held]
    near = [added(raws, theirs) for theirs, same in entries if same or is_one_weighing(theirs, raws, join_s)]
    return min(near, key=len, default=["weight_kg"])
