"""How the tests of `reading/` interpret a payload and look at the result."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from weighbridge.errors import FieldError, ReadingRejected
from weighbridge.notes import Code
from weighbridge.reading.interpret import Interpreted, interpret
from weighbridge.reasons import Sentences

NOW = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
ARRIVAL = (
    Code.TIME_OF_ARRIVAL,
    "No time was given, so the time of arrival counts. Sent again, it would be another weigh-in.",
)


def understood(payload: object, timezone: ZoneInfo = BERLIN) -> Interpreted:
    return interpret(payload, now=NOW, timezone=timezone)


def values(payload: object) -> dict[str, str]:
    """The values of the reading that were given, as short texts, without the time."""
    interpreted = understood(payload)
    return {
        name: format(value.normalize(), "f") if isinstance(value, Decimal) else str(value)
        for name, value in vars(interpreted.reading).items()
        if value is not None and name != "measured_at" and name not in interpreted.derived
    }


def instant(payload: object, timezone: ZoneInfo = BERLIN) -> str:
    return understood(payload, timezone).reading.measured_at.isoformat()


def errors(payload: object) -> tuple[FieldError, ...]:
    with pytest.raises(ReadingRejected) as caught:
        understood(payload)
    return tuple(caught.value.errors)


def only_error(payload: object) -> FieldError:
    (error,) = errors(payload)
    return error


def parsed(text: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(text, parse_float=Decimal)
    return found


def short(value: object) -> str:
    """A name for a value in a list of cases; some are too long to print."""
    return "long int" if isinstance(value, int) and value.bit_length() > 999 else ascii(value)[:30]


def notes(interpreted: Interpreted) -> list[tuple[Sentences, str]]:
    return [(note.why, str(note)) for note in interpreted.notes]
