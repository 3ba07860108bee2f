"""A value -> JSON, compact for programs or indented for people."""

from __future__ import annotations

import json
from decimal import Decimal

#: A parameter of every route: indent the JSON of the answer.
PRETTY = "pretty"

#: Of every answer: a measurement does not belong in a cache, and a browser must not guess what JSON is.
EVERY_ANSWER = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def json_bytes(value: object, *, pretty: bool) -> bytes:
    """A value as JSON. Indented JSON has letters in place of escapes."""
    # Half of a surrogate pair is not a letter; it stays an escape.
    return (_indent(value) + "\n").encode("utf-8", "backslashreplace") if pretty else _encode(value).encode()


def _number(value: object) -> float | str:
    # What a double cannot hold exactly is shown with the digits as they came.
    if isinstance(value, Decimal) and abs(value.adjusted()) < 15:
        return float(value)
    return str(value)


_encode = json.JSONEncoder(default=_number).encode
_indent = json.JSONEncoder(default=_number, indent=4, ensure_ascii=False).encode
