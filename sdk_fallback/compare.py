"""Our file × Garmin's -> every difference, by name.

Strategy: two independent ways. *Reading*: Garmin's tool reads our file; each value it prints, times the scale, must be
the raw integer in our bytes. *Writing*: Garmin's tool writes a file from the reading itself; its canonical form must be
the same as ours. Only the second way finds a wrong value that both sides read back alike.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from weighbridge.fit.profile import (
    DEVELOPER_BY_NAME,
    FIELDS,
    FILE_ID,
    FLOAT32,
    NATIVE_BY_NUMBER,
    WEIGHT_SCALE_MESSAGE,
    Field,
    value_of,
)

from .canonical import Canonical, Key, Message, Value
from .fitcsvtool import UNKNOWN, CsvRow

#: How two correct files may differ, in the words of the report.
ALLOWED_DIFFERENCES = (
    "byte order (Garmin's tool writes big-endian), the header's profile version and both checksums, "
    "and the bytes of a NaN"
)

_FILE_ID_FIELDS = {0: "type", 1: "manufacturer", 2: "product", 3: "serial_number", 4: "time_created"}


class Difference(NamedTuple):
    """One point on which our file and the other side do not agree."""

    #: "weigh-in 3, weight"
    where: str
    ours: str
    theirs: str
    #: The first is 1; 0 means the whole file.
    weigh_in: int = 0

    def __str__(self) -> str:
        return f"{self.where}: ours {self.ours}, theirs {self.theirs}"


class Place(NamedTuple):
    """The name of a message in a report."""

    name: str
    weigh_in: int = 0

    def differs(self, what: str, ours: str, theirs: str) -> Difference:
        return Difference(f"{self.name}, {what}", ours, theirs, self.weigh_in)


NOTHING = "nothing"


class Unknown(NamedTuple):
    """What Garmin's tool cannot judge in a file, because its profile does not document it."""

    #: "device_info: field 8"
    names: list[str]
    #: The place of a message in the file -> the keys of its unknown fields, or None for the whole message.
    keys: dict[int, frozenset[Key] | None]


NOTHING_UNKNOWN = Unknown([], {})


def unknown_in(ours: Canonical, rows: Sequence[CsvRow]) -> Unknown:
    """What the tool calls unknown, with the numbers of our file: a Definition row has the fields in their order."""
    names: list[str] = []
    keys: dict[int, frozenset[Key] | None] = {}
    definitions: dict[str, CsvRow] = {}
    messages = enumerate(ours.messages)
    for row in rows:
        if row.kind == "Definition":
            definitions[row.local] = row
            continue
        place, message = next(messages, (0, None))
        definition = definitions.get(row.local)
        if message is None or definition is None:
            break
        if definition.message == UNKNOWN:
            keys[place] = None
            names.append(f"message {message.number}")
        elif len(definition.cells) == len(message.values):
            pairs = zip(message.values, definition.cells, strict=True)
            if unknown := [key for key, (name, _, _) in pairs if name == UNKNOWN]:
                keys[place] = frozenset(unknown)
                names += [f"{definition.message}: {_number(key)}" for key in unknown]
    return Unknown(list(dict.fromkeys(names)), keys)


def without(ours: Canonical, unknown: Unknown) -> Canonical:
    """The part of our file that the tool can judge."""
    messages = []
    for place, message in enumerate(ours.messages):
        hidden = unknown.keys.get(place, frozenset())
        if hidden is not None:
            kept = {key: value for key, value in message.values.items() if key not in hidden}
            messages.append(Message(message.number, kept))
    return Canonical(messages, ours.developer_fields)


def compare_texts(ours: Canonical, rows: Sequence[CsvRow]) -> list[Difference]:
    """The differences between our file and the CSV that Garmin's tool made from it."""
    data = [row for row in rows if row.kind == "Data"]
    if len(data) != len(ours.messages):
        return [Difference("the file", f"{len(ours.messages)} messages", f"{len(data)} messages")]
    found = []
    for place, message, row in zip(_places(ours), ours.messages, data, strict=True):
        if message.number == FILE_ID:
            created = message.values.get(4)
            text = row.values.get("time_created", NOTHING)
            if created is not None and str(created.raw) != text:
                found.append(place.differs("time_created", str(created.raw), text))
        elif message.number == WEIGHT_SCALE_MESSAGE:
            if row.message != "weight_scale":
                found.append(place.differs("message", "weight_scale", row.message))
            found += [
                place.differs(name, _shown(name, raw), text)
                for name, raw, text in _texts(message, row, ours.developer_fields)
                if not _says(text, name, raw)
            ]
    return found


def _texts(message: Message, row: CsvRow, developer_fields: dict[Key, str]) -> list[tuple[str, int | None, str]]:
    """(name, raw value or None, text) of every field that either side has."""
    raws = {}
    for key, value in message.values.items():
        field = _field(key, developer_fields)
        if field is not None:
            raws[field.name] = None if value.raw == field.base_type.invalid else value.raw
    texts = row.values
    return [(name, raws.get(name), texts.get(name, NOTHING)) for name in dict.fromkeys([*raws, *texts])]


def _says(text: str, name: str, raw: int | None) -> bool:
    if raw is None or name not in FIELDS:
        return raw is None and text == NOTHING
    field = FIELDS[name]
    try:
        number = Decimal(text)
    except InvalidOperation:
        return False
    if field.base_type is FLOAT32:
        return struct.pack(">f", number) == raw.to_bytes(4, "big")
    return number * field.scale == raw


def compare_files(ours: Canonical, theirs: Canonical) -> list[Difference]:
    """The differences between our file and the one that Garmin's tool wrote."""
    if [m.number for m in ours.messages] != [m.number for m in theirs.messages]:
        return [Difference("the file", _numbers(ours), _numbers(theirs))]
    found = []
    for place, our, their in zip(_places(ours), ours.messages, theirs.messages, strict=True):
        for key in dict.fromkeys([*our.values, *their.values]):
            mine, other = our.values.get(key), their.values.get(key)
            if mine != other:
                name = _name(our.number, key, ours.developer_fields)
                found.append(place.differs(name, _value_shown(name, mine), _value_shown(name, other)))
    return found


def _places(file: Canonical) -> list[Place]:
    places, weigh_ins = [], 0
    for number, message in enumerate(file.messages, 1):
        if message.number == WEIGHT_SCALE_MESSAGE:
            weigh_ins += 1
            places.append(Place(f"weigh-in {weigh_ins}", weigh_ins))
        else:
            places.append(Place("file_id" if message.number == FILE_ID else f"message {number}"))
    return places


def _numbers(file: Canonical) -> str:
    return "messages " + ", ".join(str(message.number) for message in file.messages[:20])


def _field(key: Key, developer_fields: dict[Key, str]) -> Field | None:
    return NATIVE_BY_NUMBER.get(key) if isinstance(key, int) else DEVELOPER_BY_NAME.get(developer_fields.get(key, ""))


def _name(message: int, key: Key, developer_fields: dict[Key, str]) -> str:
    if message == WEIGHT_SCALE_MESSAGE:
        field = _field(key, developer_fields)
        return field.name if field else _number(key)
    return _FILE_ID_FIELDS.get(key, _number(key)) if message == FILE_ID and isinstance(key, int) else _number(key)


def _number(key: Key) -> str:
    return f"field {key}" if isinstance(key, int) else f"developer field {key[1]}"


def _value_shown(name: str, value: Value | None) -> str:
    if value is None:
        return "no such field"
    if name in FIELDS and len(value.content) == FIELDS[name].base_type.size:
        return _shown(name, None if value.raw == FIELDS[name].base_type.invalid else value.raw)
    return f"{value.content.hex()} (base type {value.base_type:#04x})"


def _shown(name: str, raw: int | None) -> str:
    if raw is None:
        return NOTHING
    field = FIELDS.get(name)
    return str(value_of(field, raw)) if field else str(raw)
