"""Folders that no other user can enter."""

from __future__ import annotations

from pathlib import Path


def make_private_folder(folder: Path) -> None:
    """Make a folder, and each one above it that is missing, with mode 0700. Raises OSError.

    `Path.mkdir(parents=True)` gives its mode to the last folder alone.
    """
    if not folder.is_dir():
        make_private_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
