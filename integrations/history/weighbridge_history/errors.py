"""What can be wrong with a file."""

from __future__ import annotations

from collections.abc import Sequence
from enum import unique

from weighbridge.reasons import Reason, Sentences


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


@unique
class FileFault(Sentences):
    """Why a file, or what was chosen for it, cannot be used, and what a file does not say."""

    # Any file.
    FILE_UNREADABLE = "{file!s} cannot be read: {problem}."
    FILE_EMPTY = "The file is empty."
    FILE_TOO_LARGE = "The file is larger than {maximum} MiB. Export a shorter period."
    TOO_MANY_WEIGH_INS = "The file holds too many weigh-ins. Export a shorter period."
    TOO_LONG_TO_READ = "The file was not read within {seconds} s. Export a shorter period, or save it as CSV."
    READER_DID_NOT_START = "The file was not read: the process that reads files did not start."
    READER_ENDED = (
        "The file cannot be read: it is damaged, or needs more than {maximum} MiB. "
        "Export it again, or a shorter period, or save it as CSV."
    )
    FILE_NOT_UTF_8 = "Byte {byte}: this is not valid UTF-8."
    FILE_NOT_TEXT = "Row {row}, byte {byte}: this is not text. Is the file damaged or of another type?"
    FILE_NOT_JSON = "Row {row}, column {column}: {problem}."
    FILE_JSON_UNREADABLE = "This JSON cannot be read."
    ROW_UNREADABLE = "Row {row}: {problem}. Is the file damaged there?"
    HEADER_EMPTY = "Expected the names of the columns in the first line, but it is empty."
    HEADER_MISSING = (
        "The file has no header: its first line holds values. "
        "Write a line with the names of the columns above it, such as: date, weight, body fat."
    )

    # Apple Health.
    ARCHIVE_DAMAGED = "The archive is damaged. Export it again."
    ARCHIVE_EXPANDS = (
        "The archive holds far more than its size of {size} bytes suggests. Export it again, or save it as CSV."
    )
    NOT_APPLE_HEALTH = "Expected an Apple Health export, but the root element of this XML is not HealthData."
    NO_WEIGHT = "The Apple Health export contains no weight."
    FILE_XML_DAMAGED = "Row {row}, column {column}: the XML is damaged. Export it again."
    TAG_TOO_LONG = "Row {row}: a tag is longer than {maximum} bytes. Export it again."
    XML_WITH_ENTITIES = "The XML defines entities, which no export does. Export it again."

    # Spreadsheets.
    SPREADSHEET_UNREADABLE = "The spreadsheet cannot be read. Is it complete? Export it again, or save it as CSV."
    SPREADSHEET_EMPTY = "The first sheet of the spreadsheet is empty."
    SPREADSHEET_WITH_TOO_MANY_FILES = "Expected at most {maximum} files in the spreadsheet, got {count}."
    SPREADSHEET_SPANS_TOO_MUCH = (
        "Row {row}, column {column}: the sheet spans {rows} rows and {columns} columns. Expected at most {most_rows} "
        "rows, {most_columns} columns and {most_cells} cells. Delete what is far from the table, or save it as CSV."
    )
    SPREADSHEET_STATES_TOO_MUCH = (
        "The spreadsheet states a size of {rows} rows and {columns} columns. Expected at most {maximum} cells. "
        "Save it again with a spreadsheet program, or as CSV."
    )
    SPREADSHEET_TEXT_TOO_LONG = "The spreadsheet has a text longer than {maximum} bytes. Save it as CSV."
    SPREADSHEET_RECORD_TOO_LONG = "The spreadsheet has a record longer than {maximum} bytes. Save it as CSV."

    # Columns.
    COLUMN_UNKNOWN = (
        "The mapping names a column {header!r}, but the columns are: {headers}. Is it the mapping of another file?"
    )
    COLUMN_OF_NO_TABLE = (
        "The answers name the column {header!r}, but a file of {kind} has no columns. "
        "Are they from the import of another file?"
    )
    MEANING_UNKNOWN = (
        "The mapping gives the column {header!r} the meaning {meaning!r}. "
        'Expected one of: {meanings}; or "" to leave the column out.'
    )
    MEANING_TWICE = "The mapping gives two columns the meaning {meaning!r}: {first!r} and {second!r}."
    TIME_COLUMN_MISSING = "No column is recognized as the time. The columns are: {headers}."
    WEIGHT_COLUMN_MISSING = "No column is recognized as the weight. The columns are: {headers}."
    BOTH_COLUMNS_MISSING = "No column is recognized as the time or the weight. The columns are: {headers}."
    UNIT_OF_NO_COLUMN = "A unit is given for {header!r}, but the columns are: {headers}."
    UNIT_NOT_OF_COLUMN = "The column {header!r} cannot be in {unit}."

    # What a file does not say.
    DATES_CONTRADICT = "The dates of the file contradict each other: {time!r} has another order than those above."
    DAY_OR_MONTH_FIRST = "Is the day or the month first in {time!r}? No row in the file shows it."
    YEAR_OR_DAY_FIRST = "Is the year or the day first in {time!r}? No row in the file shows it."
    TIMES_OF_DAY_MISSING = "The file has dates and no times of day, and Garmin needs the instant of a weigh-in."
    UNIT_OF_COLUMN_MISSING = "The unit of the column {header!r} is neither in its header nor in its cells."
    UNIT_OF_FITBIT_MISSING = "The weights of Fitbit are in the unit of the account, which the file does not name."
    SEVERAL_PEOPLE = "The file holds weigh-ins of {people:and}, and the function serves one account."

    # The file with the answers.
    TOML_INVALID = "This is not valid TOML: {problem}. Expected: {expected}."
    ANSWER_UNKNOWN = "The key {key!r} is unknown. Expected: {expected}."
    ANSWER_OUTSIDE_OF_TABLE = (
        "The key {key!r} is unknown. Expected: {expected}. The name of a column belongs below [columns]."
    )
    ANSWER_INVALID = "{place!s}: expected {expected}, got {got}."
    EXPECTED_ORDER = '"dmy", "mdy" or "ymd"'
    EXPECTED_TIME_OF_DAY = 'a time of day such as "07:00"'
    EXPECTED_ZONE = 'a name such as "Europe/Berlin"'
    EXPECTED_PERSON = 'a name such as "Anna"'
    EXPECTED_MEANING = 'a word in quotation marks, such as "body fat", or "" to leave the column out'
    EXPECTED_UNIT = 'a unit such as "kg", "lb" or "%"'
    EXPECTED_TABLE = "a table [{table}] of the names of columns"


class _Faulty(Exception):
    """`reason`: what is wrong, for any language. As text: in English, with the `fix` for a terminal."""

    def __init__(self, reason: Reason, fix: str = "") -> None:
        super().__init__(f"{reason} {fix}".rstrip())
        self.reason, self.fix = reason, fix


class FileUnusable(_Faulty):
    """The file cannot be read. The reason names the place and, if possible, the fix."""


class MappingInvalid(_Faulty):
    """The columns do not make a reading, or the mapping does not fit them."""


class AnswersInvalid(_Faulty):
    """A mapping file is not as expected. The reason names the key, what was expected, and what came."""


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

    def __init__(self, reason: Reason, fix: str = "", people: Sequence[str] = ()) -> None:
        super().__init__(reason, fix)
        self.people = tuple(people)
