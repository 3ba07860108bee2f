"""make confirm: look whether the kept files have arrived in Garmin Connect, and put away those that have.

Rule: nothing is sent. A file counts as confirmed when each of its weigh-ins was read back. With a key of Garmin's
official Personal API the look needs no sign-in at all, so a file that was imported by hand ends as confirmed too.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta

from ..compose import garmin_connect, garmin_names, personal_api
from ..delivery.kept import Kept, kept_files, put_away, read_kept
from ..errors import FolderUnusable, WeighbridgeError
from ..garmin.entries import fits
from ..settings import Settings, read_settings

DAY = timedelta(days=1)


def main(argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Look for what was kept. Returns the exit code: 0 when all of it has arrived, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m scripts.confirm", description="Look for the kept files in Garmin.")
    parser.parse_args(argv)
    try:
        settings = read_settings(env)
        kept, unusable = _read_all(settings)
        missing = _confirm(settings, kept) if kept else 0
    except WeighbridgeError as fault:
        print(fault, file=sys.stderr)
        return 1
    if not kept and not unusable:
        print(f"Nothing waits in {settings.folder}.")
    return 1 if missing or unusable else 0


def _read_all(settings: Settings) -> tuple[list[Kept], int]:
    kept: list[Kept] = []
    unusable = 0
    for path in kept_files(settings.folder):
        try:
            kept.append(read_kept(path))
        except FolderUnusable as fault:
            unusable += 1
            print(f"  {'unknown':<11}{path.name}: {fault}", flush=True)
    return kept, unusable


def _confirm(settings: Settings, kept: Sequence[Kept]) -> int:
    """The number of files that have not arrived. Raises what the look raises."""
    official = personal_api(settings)
    if official and (announced := official.health().get("detail")):
        print(announced, file=sys.stderr)
    look = official.weigh_ins if official else garmin_connect(garmin_names(settings)[0], settings).entries
    missing = 0
    for each in kept:
        days = [reading.measured_at.date() for reading in each.readings]
        held = look(min(days) - DAY, max(days) + DAY)
        there = [any(fits(reading, entry, near=False) for entry in held) for reading in each.readings]
        if all(there):
            put_away(each)
            print(f"  {'confirmed':<11}{each.path.name}", flush=True)
        else:
            missing += 1
            print(f"  {'missing':<11}{each.path.name}: {there.count(False)} of {len(there)} not in Garmin.", flush=True)
    if missing:
        print("Import what is missing by hand, or have it delivered: make login, then make deliver-kept.")
    return missing


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
