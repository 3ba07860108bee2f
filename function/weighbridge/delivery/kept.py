"""Kept files, read again so that they can be delivered or found in Garmin.

Rule: nothing is stored next to a kept file. Everything about it is in its bytes, and its name contains their hash. A
file that does not match its name, or cannot be proven again, is not sent. A file that has arrived is moved into the
folder `delivered`: nothing is lost, and nothing is sent for no reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..errors import FolderUnusable, ProofFailed, ReadingRejected, TemplateUnusable
from ..fit.encode import RawFields, decode
from ..fit.template import Template
from ..fit.unpatch import unpatch
from ..fit.verify import VerifiedFit, verify
from ..reading.reading import Reading
from .port import INSTANT, file_name

DELIVERED = "delivered"
_INSTANT = re.compile(r"(?:\d+-)?weigh-ins?_(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ)_[0-9a-f]{12}\.fit", re.ASCII)


@dataclass(frozen=True, slots=True)
class Kept:
    """One kept file: its proof and its readings."""

    path: Path
    template: Template
    fit: VerifiedFit
    #: Each reading of the file, with its raw values.
    rows: Mapping[Reading, RawFields]

    @property
    def readings(self) -> tuple[Reading, ...]:
        return tuple(self.rows)


def kept_files(folder: Path) -> list[Path]:
    """The kept files of a folder; in each kind, the oldest weigh-in comes first."""
    return sorted(folder.glob("*weigh-in*_*.fit"))


def read_kept(path: Path) -> Kept:
    """Read a kept file and prove it. Raises `FolderUnusable` if it was changed since."""
    try:
        content = path.read_bytes()
        template, rows = unpatch(content)
        fit = verify(content, template, rows)
        readings = [Reading.of(decode(raws)) for raws in rows]
    except OSError as e:
        raise FolderUnusable(f"The file {path} cannot be read: {e.strerror}.") from e
    except (TemplateUnusable, ProofFailed, ReadingRejected):
        raise _changed(path) from None
    if file_name(readings, fit) != path.name:
        raise _changed(path)
    return Kept(path, template, fit, dict(zip(readings, rows, strict=True)))


def put_away(kept: Kept) -> None:
    """Move a file that has arrived into the folder `delivered`. Raises `FolderUnusable`."""
    target = kept.path.parent / DELIVERED
    try:
        target.mkdir(mode=0o700, exist_ok=True)
        kept.path.replace(target / kept.path.name)
    except FileNotFoundError:
        pass  # another run has moved it
    except OSError as e:
        raise FolderUnusable(
            f"{kept.path.name} has arrived, but cannot be moved to {target}: {e.strerror}. Make that folder writable."
        ) from e


def delivered_before(folder: Path, moment: datetime) -> list[Path]:
    """The files in the folder `delivered` whose first weigh-in is older than this moment."""
    dated = ((path, _INSTANT.fullmatch(path.name)) for path in sorted((folder / DELIVERED).glob("*.fit")))
    limit = f"{moment.astimezone(UTC):{INSTANT}}"
    return [path for path, found in dated if found and found[1] < limit]


def _changed(path: Path) -> FolderUnusable:
    return FolderUnusable(
        f"{path.name} is not as it was kept (changed, cut off, renamed or from another program), so it is not sent. "
        "Send its reading again, or import it by hand."
    )
