"""Bytes of a message -> what `readings` takes. Pure.

Rule: JSON goes in as it came, to the last digit. What is not one object with one meaning is kept as its text, and comes
with the reason for which it is parked.

Facts: jsonb takes the last of a key that stands twice, in silence. It refuses NUL, half a surrogate pair, NaN and
numbers beyond all measure, and Postgres would write the whole message into its log. So they are found here.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, NamedTuple

from .verdict import problem


class Contents(NamedTuple):
    #: JSON for the column `payload`.
    json: str
    #: Why it is parked at once.
    fault: dict[str, Any] | None = None


def read(payload: bytes) -> Contents:
    """A message -> its JSON, or its text and the reason why it is no reading."""
    try:
        text = payload.decode("utf-8-sig")
        document = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse, parse_float=_float)
        if "\\u0000" in json.dumps(document, ensure_ascii=False).encode().decode():
            _refuse("NUL")
    except (ValueError, ArithmeticError, RecursionError):
        return as_text(payload, "The message is not JSON with one meaning: a syntax error, a key that stands twice.")
    if not isinstance(document, dict):
        return as_text(payload, "The message is JSON, but not an object of names and values.")
    return Contents(text)


def as_text(payload: bytes, detail: str) -> Contents:
    text = payload.decode("utf-8", "backslashreplace").replace("\0", "\\x00")
    return Contents(json.dumps(text), problem("not-a-reading", "The message is not a reading", None, detail))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    return members if len(members) == len(pairs) else _refuse("a key twice")


def _float(digits: str) -> float:
    # No scale writes more than 40 digits, and numeric has no room for the exponents that a text has.
    held = len(digits) <= 40 and abs(Decimal(digits).adjusted()) < 300
    return float(digits) if held else _refuse("a number beyond all measure")


def _refuse(what: str) -> Any:
    raise ValueError(what)
