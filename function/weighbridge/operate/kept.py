"""weighbridge kept: the files that were kept for import by hand, or while nobody was signed in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from ..delivery.kept import DELIVERED, Kept, delivered_before, kept_files, read_kept
from ..errors import FolderUnusable
from ..settings import Settings, read_settings
from . import confirm, deliver_kept, options
from .surroundings import Surroundings


@click.group("kept")
def command() -> None:
    """List, deliver, confirm or prune the files that were kept."""


command.add_command(deliver_kept.command)
command.add_command(confirm.command)


@command.command("list")
@options.name
@options.as_json
@click.pass_obj
def list_kept(around: Surroundings, name: str, *, as_json: bool) -> int:
    """Show the files that wait, with the date and weight of each weigh-in. Nothing is sent."""
    settings = read_settings(around.environment).for_person(name)
    found: dict[str, Kept | FolderUnusable] = {}
    for path in kept_files(settings.folder):
        try:
            found[path.name] = read_kept(path)
        except FolderUnusable as fault:
            found[path.name] = fault
    if as_json:
        files = [{"file_name": name, **_as_data(each)} for name, each in found.items()]
        print(options.to_json({"folder": str(settings.folder), "files": files}))
        return 0
    for file_name, each in found.items():
        print(f"  {file_name}")
        if isinstance(each, FolderUnusable):
            print(f"    {each}")
            continue
        for reading in each.readings:
            print(f"    {deliver_kept.shown(reading, settings)}")
    if not found:
        print(f"No files are waiting in {settings.folder}.")
    for other in _others(settings):
        print(f"More files wait for another person: weighbridge kept list --name {other}")
    return 0


@command.command("prune")
@options.name
@options.older_than
@options.delete
@click.pass_obj
def prune(around: Surroundings, name: str, older_than: timedelta, *, yes: bool) -> None:
    """Delete old files that have arrived in Garmin Connect. One that waits is never deleted."""
    settings = read_settings(around.environment).for_person(name)
    old = delivered_before(settings.folder, datetime.fromtimestamp(around.now(), UTC) - older_than)
    if not yes:
        print(f"{len(old)} file(s) would be deleted. Pass --yes to delete them.")
        return
    for path in old:
        try:
            path.unlink(missing_ok=True)
        except OSError as e:
            raise FolderUnusable(f"{path} cannot be deleted: {e.strerror}.") from e
    print(f"{len(old)} file(s) deleted.")


def _as_data(kept: Kept | FolderUnusable) -> dict[str, object]:
    if isinstance(kept, FolderUnusable):
        return {"fault": str(kept)}
    readings = [
        {"measured_at": f"{reading.measured_at:%Y-%m-%dT%H:%M:%SZ}", "weight_kg": reading.weight_kg}
        for reading in kept.readings
    ]
    return {"readings": readings}


def _others(settings: Settings) -> list[str]:
    """The other people with files that wait."""
    folders = [path for path in sorted(settings.folder.glob("*")) if path.is_dir() and path.name != DELIVERED]
    return [folder.name for folder in folders if kept_files(folder)]
