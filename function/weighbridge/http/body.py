"""Bytes of a request -> documents -> items. What JSON and forms leave open is decided here.

Rule: any bytes give payloads or a `CallerFault`, in time linear in their number. Numbers become `Decimal`, so
that 64.6 stays 64.6. A duplicate key in an object, NaN and Infinity (RFC 8259 section 6), and numbers longer
than any scale writes are refused: a wrong guess would put a wrong value into someone's health record.

Facts: `curl -d` sends JSON as a form, and some programs send it as text/plain. Tasker, MacroDroid and Shortcuts can
send forms of both kinds. In a form, a plus sign that was not escaped is a space.

Weakness: `[81,4]` is valid JSON, a list of two numbers, so a decimal comma there is not recognized as one.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import NamedTuple, NoReturn, Protocol, TypeVar
from urllib.parse import parse_qsl

from ..errors import CallerFault, FieldError, MediaTypeUnsupported, NotJson, ReadingRejected, TooLarge
from ..reading.bodies import Action, Item, Unpacked, unpack
from ..reasons import Why

LARGEST_BODY_BYTES = 1 << 20

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
    """The documents of one request in their order, each with its items, or as the fault that it could not be read."""

    documents: Sequence[Unpacked | CallerFault]
    #: True when the caller sent a list, and so gets a list with an entry for each document.
    many: bool
    #: When the event that carried the payload occurred, as it came; for a reading without a time.
    occurred_at: object = None

    @property
    def items(self) -> list[Item]:
        """The items of all documents."""
        return [item for unpacked in self.documents if isinstance(unpacked, Unpacked) for item in unpacked.items]

    def results(self, of_items: Iterable[_Result]) -> list[_Result | CallerFault | list[_Result]]:
        """One entry a document: the result of its item, a list of those of its several items, or its fault."""
        rest = iter(of_items)
        return [
            document
            if isinstance(document, CallerFault)
            else list(islice(rest, len(document.items)))
            if document.many
            else next(rest)
            for document in self.documents
        ]

    def weigh_ins(self) -> list[object]:
        """The payloads that make a file. A test or another event that changes nothing is left out.

        Raises the first fault, and `ReadingRejected` for a weigh-in that is to be deleted.
        """
        for document in self.documents:
            if isinstance(document, CallerFault):
                raise document
        items = self.items
        if any(item.action is Action.TAKE_BACK for item in items):
            raise ReadingRejected([FieldError("event", "delete", Why.DELETION_UNEXPECTED())])
        return [item.payload for item in items if item.action is not Action.NOTHING]


def read_body(body: bytes, content_type: str | None, headers: Headers) -> Payloads:
    """Body -> items, by content encoding, content type and CloudEvents headers.

    Raises `MediaTypeUnsupported`, `NotJson` or `TooLarge`. A document that is refused is a fault in its place.
    """
    body = _decoded(body, headers.get("content-encoding", ""))
    content_type = content_type or "application/json"
    media_type, _, parameters = content_type.lower().partition(";")
    media_type = media_type.strip()
    if "charset" in parameters and "utf-8" not in parameters and "utf8" not in parameters:
        raise MediaTypeUnsupported("The body must be encoded in UTF-8.")
    known = MEDIA_TYPES.get(media_type)
    if known is None and media_type.endswith("+json"):
        known = MEDIA_TYPES["application/json"]
    if known is None:
        raise MediaTypeUnsupported(
            f"A body of type {media_type[:80]!r} is not supported. Send application/json, application/x-ndjson, "
            "application/cloudevents+json or a form."
        )
    if "ce-specversion" in headers:
        return _event(
            {"data": parse_json(body), "type": headers.get("ce-type", ""), "time": headers.get("ce-time", "")}
        )
    return known.parse(body, content_type)


def read_json(body: bytes, content_type: str | None, headers: Headers) -> object:
    """The JSON text of a body that must say that it is one: no page can have a browser send it without being asked.

    Raises `MediaTypeUnsupported`, `NotJson` or `TooLarge`.
    """
    if (content_type or "").lower().partition(";")[0].strip() != "application/json":
        raise MediaTypeUnsupported("Send application/json.")
    return parse_json(_decoded(body, headers.get("content-encoding", "")))


def _decoded(body: bytes, encoding: str) -> bytes:
    """The body without its content encoding. Not more than one byte beyond the limit is ever inflated."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip"):
        raise MediaTypeUnsupported(
            f"A body encoded as {encoding[:40]!r} is not supported. Send it as it is, or encoded as gzip."
        )
    inflate = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        inflated = inflate.decompress(body, LARGEST_BODY_BYTES + 1)
    except zlib.error:
        raise NotJson("The body is not valid gzip, as its Content-Encoding says.") from None
    if len(inflated) > LARGEST_BODY_BYTES:
        raise TooLarge(f"The body is larger than {LARGEST_BODY_BYTES} bytes when it is inflated. Send it in parts.")
    if not inflate.eof or inflate.unused_data:
        raise NotJson("The gzip data ends too early, or something follows it.")
    return inflated


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
        raise NotJson(f"Duplicate key {twice[:80]!r} in one object; only one value is allowed.")
    return members


def _integer(digits: str) -> int:
    return int(_short(digits))


def _decimal(digits: str) -> Decimal:
    try:
        # Most numbers are short. This is the hot path.
        return Decimal(digits if len(digits) <= LONGEST_NUMBER else _short(digits))
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


def _payloads(documents: Iterable[object], *, many: bool = False, occurred_at: object = None) -> Payloads:
    """Documents -> their items. A document that is a fault already stays one."""
    payloads = Payloads([_unpacked(document) for document in documents], many, occurred_at)
    if (count := len(payloads.items)) > READINGS_PER_CALL:
        raise _too_many(count)
    return payloads


def _unpacked(document: object) -> Unpacked | CallerFault:
    try:
        return document if isinstance(document, CallerFault) else unpack(document)
    except CallerFault as fault:
        return fault.with_traceback(None)


def _json(body: bytes, _content_type: str) -> Payloads:
    value = parse_json(body)
    if isinstance(value, list):
        return _listed(value)
    if isinstance(value, dict) and {"message", "subscription"} <= value.keys():
        # A push of Pub/Sub, without an event around it.
        return _event({"data": value})
    return _payloads([value])


def _listed(items: list[object], occurred_at: object = None) -> Payloads:
    if len(items) > READINGS_PER_CALL:
        raise _too_many(len(items))
    return _payloads(items, many=True, occurred_at=occurred_at)


def _too_many(count: int) -> TooLarge:
    return TooLarge(f"{count} readings came; at most {READINGS_PER_CALL} are accepted at once.")


def _ndjson(body: bytes, _content_type: str) -> Payloads:
    lines = body.count(b"\n")
    if lines > READINGS_PER_CALL:
        raise _too_many(lines)
    numbered = enumerate(body.split(b"\n"), 1)
    return _payloads((_line(number, line) for number, line in numbered if line.strip()), many=True)


def _line(number: int, line: bytes) -> object:
    try:
        return parse_json(line)
    except (NotJson, TooLarge) as fault:
        return type(fault)(f"Line {number}: {fault}")


def _form(body: bytes, content_type: str) -> Payloads:
    """A form, or JSON that came as one."""
    if body.lstrip()[:1] in (b"{", b"[", b'"', b"") or b"=" not in body:
        return _json(body, content_type)
    if body.count(b"&") >= MOST_NAMES_PER_OBJECT:
        raise _too_many_names()
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise NotJson("The form is not valid UTF-8.") from None
    return _payloads([_fields(pairs)])


def _fields(pairs: Iterable[tuple[str, str]]) -> dict[str, object]:
    return _object([(name, re.sub(_OFFSET_WITHOUT_PLUS, r"\1+\2", value.strip())) for name, value in pairs])


#: 2026-11-23T06:31:00 01:00 was +01:00.
_OFFSET_WITHOUT_PLUS = r"(?a)\A(\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?) (\d\d:?\d\d)\Z"

_BOUNDARY = r'(?ai)boundary=(?:"([^"]{1,70})"|([^";,\s]{1,70}))'
_PART_NAME = rb'(?i)\Acontent-disposition:\s*form-data;.{0,200}?\bname="([^"\r\n]{0,200})"'


def _multipart(body: bytes, content_type: str) -> Payloads:
    """The fields of multipart/form-data (RFC 7578)."""
    found = re.search(_BOUNDARY, content_type)
    parts = (b"\r\n" + body).split(b"\r\n--" + (found[1] or found[2]).encode()) if found else []
    if len(parts) > MOST_NAMES_PER_OBJECT + 2:
        raise _too_many_names()
    pairs: list[tuple[str, str]] = []
    try:
        for part in parts[1:-1]:
            head, _, value = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
            names = [name for line in head.split(b"\r\n") if (name := re.match(_PART_NAME, line))]
            if len(names) != 1 or b"filename" in head:
                raise NotJson("A form of named fields, without files, was expected. Send a file as the body itself.")
            pairs.append((names[0][1].decode(), value.decode()))
    except UnicodeDecodeError:
        raise NotJson("The form is not valid UTF-8.") from None
    if not pairs or not parts[-1].startswith(b"--"):
        raise NotJson("The form has no fields, or ends too early.")
    return _payloads([_fields(pairs)])


def _structured_event(body: bytes, _content_type: str) -> Payloads:
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
    return _payloads([data], occurred_at=occurred_at)


def _base64(text: object) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except (binascii.Error, ValueError):
        raise NotJson("The event's data is not valid base64.") from None


class MediaType(NamedTuple):
    """One type of body."""

    #: What it holds, for the documentation.
    what: str
    #: Body, the whole content type -> items.
    parse: Callable[[bytes, str], Payloads]


_LINES = MediaType("one document in each line", _ndjson)

MEDIA_TYPES: Mapping[str, MediaType] = {
    "application/json": MediaType("a reading, a list of readings, or the whole body of another program", _json),
    "text/json": MediaType("the same", _json),
    "text/plain": MediaType("JSON, sent as text", _json),
    "application/x-ndjson": _LINES,
    "application/ndjson": _LINES,
    "application/jsonl": _LINES,
    "application/cloudevents+json": MediaType("an event whose data is the document", _structured_event),
    "application/x-www-form-urlencoded": MediaType("a form whose fields are a reading, or JSON (`curl -d`)", _form),
    "multipart/form-data": MediaType("a form whose fields are a reading", _multipart),
}
