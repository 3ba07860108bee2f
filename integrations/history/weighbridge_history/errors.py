"""What can be wrong with a file."""

from __future__ import annotations


class FileUnusable(Exception):
    """The file cannot be read. The message names the place and, if possible, the fix."""


class MappingInvalid(Exception):
    """The columns do not make a reading, or the mapping does not fit them.

    `what` is the problem alone. The message adds the `fix` for a terminal; the page offers its own.
    """

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(f"{what} {fix}".rstrip())
        self.what = what


class OrderUnclear(MappingInvalid):
    """No row shows whether the day or the month comes first. The user has to choose."""
