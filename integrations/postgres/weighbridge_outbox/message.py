"""Bytes of a message -> values for the table `readings`. Pure.

Rule: JSON is stored as received, to the last digit. A body of another program that holds several weigh-ins becomes
several rows. A number alone is the value that its topic names. Anything else than these and one unambiguous object is
stored as text, and parked with the reason.

Facts: of a duplicate key, jsonb silently keeps the last value. It rejects NUL, half a surrogate pair, NaN and numbers
that are out of range, and Postgres would write the whole message into its log. So this module finds them first.
ESPHome publishes each value on a topic of its own, such as scale/sensor/body_fat/state, and "nan" for no value.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any, NamedTuple

from weighbridge.client import problem
from weighbridge.errors import WeighbridgeError
from weighbridge.reading.bodies import Action, Item, unpack, with_topic
from weighbridge.reading.dialects import VOCABULARY, Quantity, Unused, is_missing, normal
from weighbridge.reading.interpret import has_time


class Contents(NamedTuple):
    #: JSON for the column `payload`.
    json: str
    #: Whether the same contents, received again, are the same reading: they have a time, or are not a reading.
    once: bool = True
    #: Why it is parked; None if it is a reading.
    fault: dict[str, Any] | None = None
    #: The state in which it starts.
    state: str = "waiting"
    #: weigh_in, replace or take_back.
    action: str = "weigh_in"
    #: For a message about no weigh-in: what the function would answer.
    receipt: dict[str, Any] | None = None


class Rows(NamedTuple):
    """The rows of one message."""

    #: JSON for the column `received`.
    received: str
    rows: tuple[Contents, ...]
    #: The topic of the scale, without the part that names a value or an event.
    scale: str


def read(payload: bytes) -> Contents:
    """One reading -> its JSON, or its text and the reason why it is not one."""
    try:
        text, document = _parse(payload)
    except _BROKEN:
        return as_text(payload, _NO_JSON)
    if not isinstance(document, dict):
        return as_text(payload, _NO_OBJECT)
    return Contents(text, has_time(document))


def read_message(topic: str, payload: bytes) -> Rows:
    """A message of a topic -> its rows: usually one."""
    try:
        text, document = _parse(payload)
    except _BROKEN:
        # A number with a unit, or a word for "no value".
        document = payload.decode("utf-8", "replace").strip()
        if not (_NUMBER.fullmatch(document) or is_missing(document)) or not document:
            return _one(topic, as_text(payload, _NO_JSON))
        text = json.dumps(document)
    if document is None or (isinstance(document, int | float | str) and not isinstance(document, bool)):
        return _of_topic(topic, payload, text, document)
    whole = with_topic(topic, document)
    try:
        items = unpack(whole).items
    except WeighbridgeError:
        items = (Item(whole),)  # the function says why it refuses it
    if len(items) == 1 and items[0].payload is document and items[0].action is Action.WEIGH_IN:
        return _one(topic, read(payload))
    # openScale-sync has a topic for each event. A deletion waits for what it deletes, so both are of one scale.
    scale = topic if whole is document else topic.rpartition("/")[0]
    return Rows(text, tuple(map(_row, items)), scale)


def as_text(payload: bytes, detail: str) -> Contents:
    text = payload.decode("utf-8", "backslashreplace").replace("\0", "\\x00")
    fault = problem("not-a-reading", "The message is not a reading", detail, blame="caller", again="never")
    return Contents(json.dumps(text), fault=fault, state="parked")


def _one(topic: str, contents: Contents) -> Rows:
    return Rows(contents.json, (contents,), topic)


def _of_topic(topic: str, payload: bytes, text: str, value: object) -> Rows:
    """A value alone. Its topic names it: the last part that is a word for a value."""
    if isinstance(value, str) and not (_NUMBER.fullmatch(value.strip()) or is_missing(value)):
        return _one(topic, as_text(payload, _NO_OBJECT))
    parts = topic.split("/")
    meanings = [None if part in _OF_TOPICS else VOCABULARY.get(normal(part)) for part in parts]
    for kind in (Quantity, Unused):
        if places := [place for place, meaning in enumerate(meanings) if isinstance(meaning, kind)]:
            place = places[-1]
            scale = "/".join(parts[:place] + parts[place + 1 :])
            return Rows(text, (Contents(f"{{{json.dumps(parts[place])}: {text}}}", once=False),), scale)
    return _one(topic, as_text(payload, _NO_NAME))


def _row(item: Item) -> Contents:
    text = json.dumps(item.payload, default=_number)
    if item.action is Action.NOTHING:
        receipt = {"status": "nothing", "final": True, "summary": item.text}
        return Contents(text, once=False, state="nothing", receipt=receipt)
    if not isinstance(item.payload, dict):
        return as_text(text.encode(), _NO_OBJECT)
    # The same values again may be meant: they undo what came in between.
    once = item.action is Action.WEIGH_IN and has_time(item.payload)
    return Contents(text, once, action=item.action.value)


#: Parts of a topic that name no value, though a key of that name is known.
_OF_TOPICS = frozenset(("sensor", "sensors", "state", "status", "value", "values"))
_BROKEN = (ValueError, ArithmeticError, RecursionError)
_NO_JSON = "Expected JSON with one meaning; this has a syntax error or a duplicate key."
_NO_OBJECT = "Expected a JSON object of names and values; this is JSON, but not an object."
_NO_NAME = (
    "A value alone needs a topic that names it, with a part such as weight or body_fat: scale/sensor/weight/state. "
    "No part of this topic is the name of a value."
)

#: A number, perhaps with a unit. What it means is decided by the function.
_NUMBER = re.compile(r"[+-]?\d[\d.,]{0,20}\s*[^\s\d{}\[\]\":]{0,10}")


def _parse(payload: bytes) -> tuple[str, object]:
    """JSON that Postgres can hold: its text and the document. Raises one of `_BROKEN`."""
    text = payload.decode("utf-8-sig")
    document = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse, parse_float=_float)
    # Half a surrogate pair cannot be encoded. `dumps` doubles each backslash of the text.
    if "\\u0000" in json.dumps(document, ensure_ascii=False).encode().decode().replace("\\\\", ""):
        _refuse("NUL")
    return text, document


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    return members if len(members) == len(pairs) else _refuse("a duplicate key")


def _float(digits: str) -> float:
    # No scale writes more than 40 digits, and the exponent of a numeric is limited.
    held = len(digits) <= 40 and abs(Decimal(digits).adjusted()) < 300
    return float(digits) if held else _refuse("a number out of range")


def _refuse(what: str) -> Any:
    raise ValueError(what)


def _number(value: object) -> int | float:
    if not isinstance(value, Decimal):
        raise TypeError
    return int(value) if value == value.to_integral_value() else float(value)
