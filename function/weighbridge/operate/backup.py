"""weighbridge backup and weighbridge restore: tokens, kept files, people and the outbox, in one file.

Rule: a backup is complete, or there is none. It is restored only where nothing is: no token, no kept file, no reading.
So a restore never mixes two installations, and cannot overwrite a newer token with an older one.

Strategy: a tar file that every tar can read. The outbox writes and reads its own part (`weighbridge outbox dump` and
`load`), because only it knows its table; it takes part if DATABASE_URL is set.

Weakness: the profile of a browser, the poller's state and settings such as .env are not in it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

import click

from ..errors import FolderUnusable, SettingsInvalid
from ..private import make_private_folder
from ..settings import Settings, read_settings, text_of
from .surroundings import Surroundings

TOKENS, KEPT, PEOPLE, OUTBOX, END = "tokens", "weigh-ins", "people.toml", "outbox.ndjson", "end"
STANDARD = Path("-")


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.pass_obj
def backup(around: Surroundings, file: Path) -> None:
    """Write tokens, kept files, people and the outbox to FILE, or to standard output if it is "-".

    The outbox is included if DATABASE_URL is set. FILE holds your Garmin tokens, so only you can read it.
    """
    settings = read_settings(around.environment)
    # Whole first, so that a fault leaves no part of a backup behind.
    with tempfile.TemporaryFile() as whole:
        with tarfile.open(fileobj=whole, mode="w", dereference=True) as archive:
            _add_all(archive, settings, around.environment)
            count = len(archive.getmembers()) - 1
        whole.seek(0)
        try:
            with _created(file) as target:
                shutil.copyfileobj(whole, target)
        except OSError as e:
            raise FolderUnusable(f"{file} cannot be written: {e.strerror}.") from None
    print(f"{count} file(s) are in the backup.", file=sys.stderr)


@click.command("restore")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.pass_obj
def restore(around: Surroundings, file: Path) -> None:
    """Restore a backup from FILE, or from standard input if it is "-".

    Nothing is overwritten: if there is a token, a kept file or a reading already, nothing is restored.

    Stop the old machine first: only one may renew a token. For the outbox, set DATABASE_URL.
    """
    settings = read_settings(around.environment)
    for folder in (settings.tokens, settings.folder):
        if next(_files_of(folder), None) is not None:
            raise FolderUnusable(f"{folder} is not empty. Restore into an empty folder, or move its files away.")
    if settings.people is not None and settings.people.exists():
        raise FolderUnusable(f"{settings.people} exists. Move it away, then restore.")
    try:
        with tempfile.TemporaryFile() as whole:
            with _opened(file) as source:
                shutil.copyfileobj(source, whole)
            whole.seek(0)
            with tarfile.open(fileobj=whole, mode="r:") as archive:
                count = _put_all_back(archive, settings, around.environment)
    except tarfile.TarError:
        raise SettingsInvalid(f"{file} is not a backup, or only the beginning of one. Nothing was restored.") from None
    except OSError as e:
        raise FolderUnusable(f"{e.filename or file} cannot be used: {e.strerror}.") from None
    print(f"{count} file(s) were restored.", file=sys.stderr)


def _add_all(archive: tarfile.TarFile, settings: Settings, environment: Mapping[str, str]) -> None:
    # First, so that a restore that fails has written no file.
    if text_of("DATABASE_URL", environment):
        with tempfile.TemporaryFile() as rows:
            _outbox("dump", environment, out=rows)
            rows.seek(0)
            archive.addfile(archive.gettarinfo(arcname=OUTBOX, fileobj=rows), rows)
    for name, folder in ((TOKENS, settings.tokens), (KEPT, settings.folder)):
        for path in _files_of(folder):
            archive.add(path, f"{name}/{path.relative_to(folder).as_posix()}")
    if settings.people is not None:
        archive.add(settings.people, PEOPLE)
    archive.addfile(tarfile.TarInfo(END))


def _put_all_back(archive: tarfile.TarFile, settings: Settings, environment: Mapping[str, str]) -> int:
    members = archive.getmembers()
    if not members or members[-1].name != END:
        raise tarfile.ReadError
    places = {member.name: _place(member, settings, environment) for member in members[:-1]}
    for member in members[:-1]:
        content = archive.extractfile(member)
        if content is None:
            raise tarfile.ReadError
        if (path := places[member.name]) is not None:
            _write(path, content, member.mtime)
            continue
        with tempfile.TemporaryFile() as rows:
            shutil.copyfileobj(content, rows)
            rows.seek(0)
            _outbox("load", environment, said=rows)
    return len(places)


def _place(member: tarfile.TarInfo, settings: Settings, environment: Mapping[str, str]) -> Path | None:
    """Where a file of the backup belongs; None is the database."""
    if member.name == OUTBOX:
        if not text_of("DATABASE_URL", environment):
            raise SettingsInvalid("The backup has an outbox. Set DATABASE_URL to the database where it belongs.")
        return None
    if member.name == PEOPLE:
        if settings.people is None:
            raise SettingsInvalid("The backup has a file of people. Set WEIGHBRIDGE_PEOPLE to where it belongs.")
        return settings.people
    top, *parts = PurePosixPath(member.name).parts
    folders = {TOKENS: settings.tokens, KEPT: settings.folder}
    if not member.isreg() or top not in folders or not parts or ".." in parts:
        raise SettingsInvalid(f"Expected a backup, but {member.name!r} in it is not from Weighbridge.")
    return folders[top].joinpath(*parts)


def _write(path: Path, content: IO[bytes], modified_s: float) -> None:
    make_private_folder(path.parent)
    with _created(path) as file:
        shutil.copyfileobj(content, file)
    os.utime(path, (modified_s, modified_s))


def _outbox(
    command: str, environment: Mapping[str, str], *, out: IO[bytes] | None = None, said: IO[bytes] | None = None
) -> None:
    words = [sys.executable, "-P", "-m", "weighbridge", "outbox", command]
    done = subprocess.run(  # noqa: S603  # our own command
        words, env=dict(environment), stdin=said, stdout=out, stderr=subprocess.PIPE, check=False
    )
    if done.returncode:
        raise SettingsInvalid(f"The outbox: {done.stderr.decode(errors='replace').strip()}")


def _files_of(folder: Path) -> Iterator[Path]:
    """What a backup holds of a folder: no locks and no drafts."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith("."))


@contextmanager
def _created(path: Path) -> Iterator[IO[bytes]]:
    """A new file that its owner alone can read; never one that exists."""
    if path == STANDARD:
        yield sys.stdout.buffer
        return
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        yield file


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    if path == STANDARD:
        yield sys.stdin.buffer
        return
    with path.open("rb") as file:
        yield file
