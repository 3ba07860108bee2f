"""What can be wrong with a file."""

from __future__ import annotations

from collections.abc import Sequence


class FileUnusable(Exception):
    """The file cannot be read. The message names the place and, if possible, the fix."""


class MappingInvalid(Exception):
    """The columns do not make a reading, or the mapping does not fit them.

    `what` is the problem alone. The message adds the `fix` for a terminal; the page offers its own.
    """

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(f"{what} {fix}".rstrip())
        self.what = what


class AnswersInvalid(Exception):
    """A mapping file is not as expected. The message names the key, what was expected, and what came."""


class Question(MappingInvalid):
    """The file does not say something. It is asked once, for the whole file."""


class OrderUnclear(Question):
    """No row shows whether the day or the month comes first. The user has to choose."""


class TimeOfDayMissing(Question):
    """The file has dates and no times of day. The user gives one for all of them, or nothing is sent."""


class UnitUnclear(Question):
    """The weights are in the unit of the app's user, and the file does not name it."""

    #: The word or header of the column whose unit is wanted.
    column = "weight"


class SeveralPeople(Question):
    """The file names several people. The user says whose weigh-ins are wanted."""

    def __init__(self, what: str, fix: str = "", people: Sequence[str] = ()) -> None:
        super().__init__(what, fix)
        self.people = tuple(people)
