"""Bytes of a request -> payloads. What JSON leaves open is decided here.

Rule: any bytes give payloads or a `CallerFault`, in time linear in their number. Numbers become `Decimal`, so
that 64.6 stays 64.6. A duplicate key in an object, NaN and Infinity (RFC 8259 section 6), and numbers longer
than any scale writes are refused: a wrong guess would put a wrong value into someone's health record.

Weakness: `[81,4]` is valid JSON, a list of two numbers, so a decimal comma there is not recognized as one.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import NamedTuple, NoReturn, Protocol, TypeVar

from ..errors import CallerFault, MediaTypeUnsupported, NotJson, TooLarge

#: Digits of the longest number accepted; a scale needs six, epoch nanoseconds nineteen.
LONGEST_NUMBER = 40

#: A body of a million bytes could ask for half a million answers.
READINGS_PER_CALL = 10_000

#: Twice what that many readings need, with the events around them and the objects in them.
OBJECTS_PER_CALL = 2 * READINGS_PER_CALL

#: Several times what the largest dialect has.
MOST_NAMES_PER_OBJECT = 500


class Headers(Protocol):
    """Header names -> values; names are case-insensitive."""

    def get(self, key: str, default: str) -> str: ...

    def __contains__(self, key: str, /) -> bool: ...


_Result = TypeVar("_Result")


class Payloads(NamedTuple):
    """The payloads of one request, and what could not be read. Each has a number that gives its order."""

    items: Mapping[int, object]
    #: True when the caller sent a list, and so gets a list back.
    many: bool
    #: When the event that carried the payload occurred, as it came; for a reading without a time.
    occurred_at: object = None
    faults: Mapping[int, CallerFault] = {}

    def results(self, of_items: Iterable[_Result]) -> list[_Result | CallerFault]:
        """The results of the items and the faults, in the order of the request."""
        found: dict[int, _Result | CallerFault] = {**dict(zip(self.items, of_items, strict=True)), **self.faults}
        return [found[place] for place in sorted(found)]


def read_body(body: bytes, content_type: str | None, headers: Headers) -> Payloads:
    """Body -> payloads, by content type and CloudEvents headers.

    Raises `MediaTypeUnsupported` or `NotJson`.
    """
    media_type, _, parameters = (content_type or "application/json").lower().partition(";")
    parse = _PARSERS.get(media_type.strip())
    if parse is None and media_type.strip().endswith("+json"):
        parse = _json
    if parse is None:
        raise MediaTypeUnsupported(
            f"A body of type {media_type.strip()[:80]!a} is not supported. Send application/json, "
            "application/x-ndjson or application/cloudevents+json."
        )
    if "charset" in parameters and "utf-8" not in parameters and "utf8" not in parameters:
        raise MediaTypeUnsupported("The body must be encoded in UTF-8.")
    if "ce-specversion" in headers:
        return _event(
            {"data": parse_json(body), "type": headers.get("ce-type", ""), "time": headers.get("ce-time", "")}
        )
    return parse(body)


def parse_json(body: bytes) -> object:
    """One JSON text -> dict, list, str, int, Decimal, bool or None. Raises `NotJson` or `TooLarge`."""
    if not body.strip():
        raise NotJson("The body is empty; a reading in JSON was expected.")
    # Counted before the slow parser runs: each object has its bracket, and each name its colon.
    objects = body.count(b"{")
    if objects > OBJECTS_PER_CALL:
        raise TooLarge(f"At most {READINGS_PER_CALL} readings are accepted at once; this body holds many more.")
    if objects and body.count(b":") > objects * MOST_NAMES_PER_OBJECT:
        raise _too_many_names()
    try:
        # json.loads would guess UTF-16 and UTF-32; RFC 8259 section 8.1 allows UTF-8 alone.
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise NotJson(f"The body is not valid UTF-8: the problem is at byte {e.start}.") from None
    try:
        value: object = _decode(text)
    except json.JSONDecodeError as e:
        raise NotJson(f"{_syntax_error(e)} (line {e.lineno}, column {e.colno}).") from None
    except RecursionError:
        raise NotJson("The JSON is nested too deeply for a reading.") from None
    return value


#: What json says of a syntax error -> the same in plain words.
_SYNTAX_ERRORS: Mapping[str, str] = {
    "Expecting value": "a value is missing",
    "Expecting property name enclosed in double quotes": "a name in double quotes was expected",
    "Expecting ':' delimiter": "a colon is missing after a name",
    "Expecting ',' delimiter": "a comma or a closing bracket is missing",
    "Extra data": "there is something after the end",
    "Unterminated string starting at": "a text has no closing quote",
    "Invalid control character at": "a text contains a line break or another control character",
}


def _syntax_error(e: json.JSONDecodeError) -> str:
    """A syntax error in words. It never repeats what came: that may be a measurement."""
    text, at = e.doc, e.pos
    here = text[at : at + 1]
    # At a trailing comma, json stops at the bracket or, in newer releases of Python, at the comma.
    if here in ("}", "]") and text[:at].rstrip()[-1:] == ",":
        return f"A comma too many before {here}"
    if here == "," and (closing := text[at + 1 :].lstrip()[:1]) in ("}", "]"):
        return f"A comma too many before {closing}"
    if any(_DECIMAL_COMMA.match(text, start) for start in (at - 2, at - 1) if start >= 0):
        return 'A decimal comma is not valid JSON: write 81.4, or "81,4" in quotes'
    return f"The body is not valid JSON: {_SYNTAX_ERRORS.get(e.msg, e.msg)}"


#: json stops at the digit after the comma, or at the comma.
_DECIMAL_COMMA = re.compile(r"\d,\d", re.ASCII)


def _too_many_names() -> TooLarge:
    return TooLarge(f"A reading has at most {MOST_NAMES_PER_OBJECT} names, and this has more.")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(pairs) > MOST_NAMES_PER_OBJECT:
        raise _too_many_names()
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise NotJson(f"Duplicate key {twice[:80]!a} in one object; only one value is allowed.")
    return members


def _integer(digits: str) -> int:
    return int(_short(digits))


def _decimal(digits: str) -> Decimal:
    try:
        return Decimal(_short(digits))
    except InvalidOperation:
        raise NotJson("A number has an exponent that is out of range.") from None


def _short(digits: str) -> str:
    if len(digits) > LONGEST_NUMBER:
        raise NotJson(f"A number has {len(digits)} characters; at most {LONGEST_NUMBER} are accepted.")
    return digits


def _constant(name: str) -> NoReturn:
    raise NotJson(f"{name} is not a number in JSON. Leave out a value that was not measured.")


_decode: Callable[[str], object] = json.JSONDecoder(
    parse_int=_integer, parse_float=_decimal, parse_constant=_constant, object_pairs_hook=_object
).decode


def _json(body: bytes) -> Payloads:
    value = parse_json(body)
    if isinstance(value, list):
        return _listed(value)
    return Payloads({0: value}, many=False)


def _listed(items: list[object], occurred_at: object = None) -> Payloads:
    if len(items) > READINGS_PER_CALL:
        raise _too_many(len(items))
    return Payloads(dict(enumerate(items)), many=True, occurred_at=occurred_at)


def _too_many(count: int) -> TooLarge:
    return TooLarge(f"{count} readings came; at most {READINGS_PER_CALL} are accepted at once.")


def _ndjson(body: bytes) -> Payloads:
    lines = body.count(b"\n")
    if lines > READINGS_PER_CALL:
        raise _too_many(lines)
    items: dict[int, object] = {}
    faults: dict[int, CallerFault] = {}
    for number, line in enumerate(body.split(b"\n"), 1):
        if line.strip():
            try:
                items[number] = parse_json(line)
            except (NotJson, TooLarge) as fault:
                faults[number] = type(fault)(f"Line {number}: {fault}")
    return Payloads(items, many=True, faults=faults)


def _structured_event(body: bytes) -> Payloads:
    event = parse_json(body)
    if not isinstance(event, dict) or "specversion" not in event:
        raise NotJson("This is not a CloudEvent: a JSON object with specversion was expected.")
    if "data_base64" in event:
        return _event({**event, "data": parse_json(_base64(event["data_base64"]))})
    return _event(event)


def _event(event: Mapping[str, object]) -> Payloads:
    """A CloudEvent's data is the reading; a Pub/Sub message wraps it once more, in base64."""
    data, occurred_at = event.get("data"), event.get("time")
    if isinstance(data, dict) and isinstance(message := data.get("message"), dict) and "data" in message:
        data, occurred_at = parse_json(_base64(message["data"])), occurred_at or message.get("publishTime")
    if isinstance(data, list):
        return _listed(data, occurred_at)
    return Payloads({0: data}, many=False, occurred_at=occurred_at)


def _base64(text: object) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except (binascii.Error, ValueError):
        raise NotJson("The event's data is not valid base64.") from None


_PARSERS: Mapping[str, Callable[[bytes], Payloads]] = {
    "application/json": _json,
    "text/json": _json,
    # curl -d sends any body as this type.
    "application/x-www-form-urlencoded": _json,
    "application/x-ndjson": _ndjson,
    "application/ndjson": _ndjson,
    "application/jsonl": _ndjson,
    "application/cloudevents+json": _structured_event,
}
