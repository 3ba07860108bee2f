"""weighbridge confirm: check whether the kept files have arrived in Garmin Connect, and put away those that have.

Rule: nothing is sent. A file counts as confirmed when each of its weigh-ins was read back, with all values that Garmin
can show. With a key of Garmin's official Personal API this needs no sign-in at all, so files imported by hand are
confirmed too. Garmin is asked once for a year of files, not once for each.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta

import click

from ..commands import command as typed
from ..compose import garmin_connect, garmin_names, personal_api
from ..delivery.joining import in_words
from ..delivery.kept import Kept, kept_files, place_in_folder, put_away, read_kept
from ..errors import FolderUnusable
from ..fit.encode import RawFields
from ..garmin.entries import ByInstant, fits, raws_of
from ..reading.weighing import added, is_one_weighing
from ..settings import Settings, read_settings
from . import options
from .surroundings import Surroundings

DAY = timedelta(days=1)
#: Of one look: some hundred entries.
MOST_DAYS = timedelta(days=366)


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
            if not path.exists():
                continue  # another run has moved it
            unusable += 1
            say("unknown", place_in_folder(path), str(fault))
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
    for some, first, last in _ranges(kept):
        held = ByInstant(look(first, last))
        missing += sum(not _settle(each, held, settings) for each in some)
    if missing:
        name = settings.token_name
        print(
            f"Import the missing files by hand, or have them delivered: {typed('login', name)}, then "
            f"{typed('kept deliver', name)}."
        )
    return missing


def _ranges(kept: Iterable[Kept]) -> Iterator[tuple[Sequence[Kept], date, date]]:
    """The files in order of time, in groups that one look can answer, with its first and last day."""
    group: list[Kept] = []
    first = last = date.min
    for each in sorted(kept, key=_days):
        start, end = _days(each)
        if group and max(end, last) - first > MOST_DAYS:
            yield group, first - DAY, last + DAY
            group = []
        first, last = (first, max(last, end)) if group else (start, end)
        group.append(each)
    if group:
        yield group, first - DAY, last + DAY


def _days(kept: Kept) -> tuple[date, date]:
    days = [reading.measured_at.date() for reading in kept.readings]
    return min(days), max(days)


def _settle(kept: Kept, held: ByInstant, settings: Settings) -> bool:
    """Report a file, and put it away if all of it has arrived."""
    shown = [_missing(raws, held, settings.join_s) for raws in kept.rows.values()]
    if not any(shown):
        put_away(kept)
        say("confirmed", place_in_folder(kept.path))
        return True
    absent = sum("weight_kg" in names for names in shown)
    if absent:
        say("missing", place_in_folder(kept.path), f"{absent} of {len(shown)} not in Garmin.")
    else:
        names = in_words([*dict.fromkeys(name for names in shown for name in names)])
        again = typed("kept deliver --replace", settings.token_name)
        say(
            "incomplete",
            place_in_folder(kept.path),
            f"Garmin Connect does not show {names}. To send it again: {again}.",
        )
    return False


def _missing(raws: RawFields, held: ByInstant, join_s: float) -> Sequence[str]:
    """The attributes of a kept weigh-in that Garmin does not show; the weight among them if it shows none of it."""
    near = [
        added(raws, theirs)
        for entry in held.near(raws["timestamp"], join_s)
        if is_one_weighing(theirs := raws_of(entry), raws, join_s) or fits(raws, entry, near=False)
    ]
    return min(near, key=len, default=["weight_kg"])
