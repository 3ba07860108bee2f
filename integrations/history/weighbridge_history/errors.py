"""What can be wrong with a file."""

from __future__ import annotations

from collections.abc import Sequence
from enum import unique

from weighbridge.reasons import Sentences


@unique
class RowFault(Sentences):
    """Why a row makes no weigh-in for the function. The sentence follows the number of the row."""

    TIME_MISSING = "the time is missing"
    TIME_OF_DAY_OF_ROW_MISSING = "the time of day is missing. Pass --time-of-day 07:00 to use one for all such rows"
    TWO_TIMES = "two columns of the same name have different times: {times}"
    DAY_OF_GARMIN_EXPECTED = "expected a day such as 'Jul 18, 2026', got {cell!r}"
    CLOCK_EXPECTED = "column {column}: expected a time of day, got {cell!r}"
    DAY_ABOVE_MISSING = "no row above gives the day"
    CELL_TOO_LONG = "column {column}: expected at most {maximum} characters, got {count}"
    CELLS_EXPECTED = "expected {expected} cells as in the header, got {count}"
    OF_SOMEONE_ELSE = "this is a weigh-in of {person}"
    NOT_UTF_8 = "byte {byte}: not valid UTF-8"
    JSON_INVALID = "column {place}: {problem}"
    JSON_UNREADABLE = "this JSON cannot be read"
    JSON_OBJECT_EXPECTED = "expected a JSON object"
    XML_DAMAGED = "line {line} of the XML is damaged"
    XML_ENDS_EARLY = "the XML ends early, in line {line}: what followed is missing"


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
