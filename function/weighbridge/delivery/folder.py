"""Keeps each file for import by hand: the default delivery, and the last link of a chain.

Rule: a file is there whole or not at all. The same readings always get the same name, so a reading that is kept
twice is one file.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import FolderUnusable
from ..notes import Code, Note
from ..reading.reading import Reading
from .port import Delivered, Prove, file_name


class Folder:
    """A `Delivery` into a folder on disk."""

    name = "folder"

    def __init__(self, path: Path) -> None:
        self._path = path

    def deliver(self, readings: Sequence[Reading], prove: Prove, *, replace: bool) -> Mapping[Reading, Delivered]:
        """Keep the readings as one file. Raises `FolderUnusable`, and then leaves nothing behind."""
        fit = prove(readings)
        name = file_name(readings, fit)
        others = self._others_of_instant(name)
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            _write_whole(self._path / name, fit.content)
            warnings: tuple[Note, ...] = ()
            if replace:
                for other in others:
                    other.unlink(missing_ok=True)
            elif others:
                text = (
                    f"{len(others)} other file(s) for the same instant are already kept. Import only one of them, or "
                    "send the right reading again with replace=true."
                )
                warnings = (Note(Code.OTHER_FILES_KEPT, text),)
        except OSError as e:
            raise _unusable(self._path, e) from e
        return dict.fromkeys(readings, Delivered("kept", fit, file_name=name, warnings=warnings))

    def health(self) -> Mapping[str, object]:
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._path) as probe:
                probe.write(bytes(512))
        except OSError as e:
            return {"name": self.name, "ready": False, "detail": str(_unusable(self._path, e))}
        return {"name": self.name, "ready": True}

    def _others_of_instant(self, name: str) -> list[Path]:
        instant = name.rpartition("_")[0]
        return [path for path in self._path.glob(f"{instant}_*.fit") if path.name != name]


def _unusable(path: Path, fault: OSError) -> FolderUnusable:
    return FolderUnusable(
        f"The folder {path} cannot take a file: {fault.strerror}. Make room or make it writable, then send "
        "the same reading again."
    )


def _write_whole(path: Path, content: bytes) -> None:
    """Write to a temporary file, sync, rename: a crash leaves the old state or the new one."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise
