"""What can be wrong with a file, said to whoever brought it."""

from __future__ import annotations


class FileUnusable(Exception):
    """Nothing can be read of the file. The message names the place, and the fix where there is one."""


class MappingInvalid(Exception):
    """The columns do not make a reading, or the mapping does not fit them. `what` is wrong; the message adds the `fix`
    at a terminal, which is another one on a page."""

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(f"{what} {fix}".rstrip())
        self.what = what


class OrderUnclear(MappingInvalid):
    """Day and month could be either way in every row: a person has to say."""
