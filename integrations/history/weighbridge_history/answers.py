"""The answers to an import's questions as a TOML file, the mapping file: written once, used again for the next export.

    order = "dmy"                  # 03/04/22 is April 3; or "mdy", "ymd"
    time_of_day = "07:00:00"       # of dates without a time
    timezone = "Europe/Berlin"     # of times without an offset
    person = "Anna"                # whose weigh-ins

    [columns]                      # header = meaning, see `columns.KIND_OF`; "" leaves the column out
    "Masse" = "weight"

    [units]                        # header or meaning = unit of its bare numbers
    "Muscle" = "kg"

Rule: the same answers are the same bytes, and reading them gives the same answers. An unknown key is an error: an
answer with a typo would be a question that nobody answered. Whether the columns are those of the file is checked when
the file is read.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from datetime import time
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from weighbridge.reading.dialects import normal
from weighbridge.reading.quantities import unit_of
from weighbridge.reasons import Reason

from .errors import AnswersInvalid, FileFault
from .read import Choices
from .times import DAY_FIRST, MONTH_FIRST, YEAR_FIRST, time_of_day

ORDERS = {"dmy": DAY_FIRST, "mdy": MONTH_FIRST, "ymd": YEAR_FIRST}


def zone_named(name: str) -> ZoneInfo:
    """Raises `ValueError`."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError):  # OSError: the name of a folder of zones, such as Europe
        raise ValueError from None


def clock_named(text: object) -> str:
    """HH:MM:SS of a time of day. Raises `ValueError`."""
    if isinstance(text, time):  # TOML has times without quotation marks
        text = text.isoformat("seconds")
    if not (found := time_of_day(text) if isinstance(text, str) else ""):
        raise ValueError
    return found


def unit_named(text: str) -> str:
    """Raises `ValueError`."""
    if (found := unit_of(text)) is None:
        raise ValueError
    return found


class _Key(NamedTuple):
    """A key of the file. `read` and `write` convert its value; `read` raises one of `_WRONG`."""

    field: str
    expected: FileFault
    read: Callable[[Any], object]
    write: Callable[[Any], str] = str


class _Table(NamedTuple):
    """A table of the file: texts by the names of columns."""

    field: str
    expected: FileFault
    read: Callable[[str], str] = str


_WRONG = (ValueError, KeyError, TypeError, AttributeError)
_NAME_OF_ORDER = {order: name for name, order in ORDERS.items()}
_KEYS = {
    "order": _Key("order", FileFault.EXPECTED_ORDER, ORDERS.__getitem__, _NAME_OF_ORDER.__getitem__),
    "time_of_day": _Key("time_of_day", FileFault.EXPECTED_TIME_OF_DAY, clock_named),
    "timezone": _Key("timezone", FileFault.EXPECTED_ZONE, zone_named, lambda zone: str(zone.key)),
    "person": _Key("person", FileFault.EXPECTED_PERSON, str.strip),
}
_TABLES = {
    "columns": _Table("mapping", FileFault.EXPECTED_MEANING),
    "units": _Table("units", FileFault.EXPECTED_UNIT, unit_named),
}
_EXPECTED = f"{', '.join(_KEYS)}, [{'], ['.join(_TABLES)}]"


def parse(content: bytes) -> Choices:
    """The answers in a mapping file. Raises `AnswersInvalid`."""
    try:
        values = tomllib.loads(content.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as e:
        raise AnswersInvalid(FileFault.TOML_INVALID(problem=str(e), expected=_EXPECTED)) from None
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name in _KEYS:
            found[_KEYS[name].field] = _read(_KEYS[name], name, value)
        elif name in _TABLES:
            found[_TABLES[name].field] = _read_table(_TABLES[name], name, value)
        else:
            fault = FileFault.ANSWER_OUTSIDE_OF_TABLE if isinstance(value, str) else FileFault.ANSWER_UNKNOWN
            raise AnswersInvalid(fault(key=name, expected=_EXPECTED))
    return Choices(**found)


def _read(key: _Key, name: str, value: object) -> object:
    try:
        if found := key.read(value):
            return found
    except _WRONG:
        pass
    raise _invalid(name, key.expected(), value)


def _read_table(table: _Table, name: str, value: object) -> Mapping[str, str]:
    if not isinstance(value, dict):
        raise _invalid(name, FileFault.EXPECTED_TABLE(table=name), value)
    found = {}
    for header, text in value.items():
        try:
            if not isinstance(text, str):
                raise TypeError
            found[header] = table.read(text)
        except _WRONG:
            raise _invalid(f"[{name}] {header!r}", table.expected(), text) from None
    return found


def _invalid(place: str, expected: Reason, got: object) -> AnswersInvalid:
    return AnswersInvalid(FileFault.ANSWER_INVALID(place=place, expected=expected, got=repr(got)))


def write(choices: Choices) -> bytes:
    """The mapping file of these answers. What was not asked is not in it."""
    lines = ["# Answers to the questions of an import: weighbridge import FILE --mapping THIS"]
    for name, key in _KEYS.items():
        if value := getattr(choices, key.field):
            lines.append(f"{name} = {_quoted(key.write(value))}")
    for name, table in _TABLES.items():
        if values := getattr(choices, table.field):
            lines += ["", f"[{name}]", *(f"{_quoted(k)} = {_quoted(v)}" for k, v in sorted(values.items()))]
    return "".join(f"{line}\n" for line in lines).encode(errors="replace")


def _quoted(text: str) -> str:
    # A string of JSON is one of TOML, except that TOML escapes DEL too.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def override(choices: Choices, others: Choices) -> Choices:
    """The answers of both. Where both answer a question, `others` counts."""
    new = {name: value for name, value in others._asdict().items() if value}
    units = {normal(name) for name in others.units}
    kept = {name: unit for name, unit in choices.units.items() if normal(name) not in units}
    return choices._replace(
        **{**new, "mapping": {**choices.mapping, **others.mapping}, "units": {**kept, **others.units}}
    )
