"""Bytes of a message -> a value for the table `readings`. Pure.

Rule: JSON is stored as received, to the last digit. Anything else than one unambiguous object is stored as text,
and parked with the reason.

Facts: of a duplicate key, jsonb silently keeps the last value. It rejects NUL, half a surrogate pair, NaN and numbers
that are out of range, and Postgres would write the whole message into its log. So this module finds them first.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, NamedTuple

from weighbridge.client import problem
from weighbridge.reading.interpret import has_time


class Contents(NamedTuple):
    #: JSON for the column `payload`.
    json: str
    #: Whether the same contents, received again, are the same reading: they have a time, or are not a reading.
    once: bool = True
    #: Why it is parked; None if it is a reading.
    fault: dict[str, Any] | None = None


def read(payload: bytes) -> Contents:
    """A message -> its JSON, or its text and the reason why it is not a reading."""
    try:
        text = payload.decode("utf-8-sig")
        document = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse, parse_float=_float)
        if "\\u0000" in json.dumps(document, ensure_ascii=False).encode().decode():
            _refuse("NUL")
    except (ValueError, ArithmeticError, RecursionError):
        return as_text(payload, "Expected JSON with one meaning; this has a syntax error or a duplicate key.")
    if not isinstance(document, dict):
        return as_text(payload, "Expected a JSON object of names and values; this is JSON, but not an object.")
    return Contents(text, has_time(document))


def as_text(payload: bytes, detail: str) -> Contents:
    text = payload.decode("utf-8", "backslashreplace").replace("\0", "\\x00")
    fault = problem("not-a-reading", "The message is not a reading", detail, blame="caller", again="never")
    return Contents(json.dumps(text), fault=fault)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    return members if len(members) == len(pairs) else _refuse("a duplicate key")


def _float(digits: str) -> float:
    # No scale writes more than 40 digits, and the exponent of a numeric is limited.
    held = len(digits) <= 40 and abs(Decimal(digits).adjusted()) < 300
    return float(digits) if held else _refuse("a number out of range")


def _refuse(what: str) -> Any:
    raise ValueError(what)
