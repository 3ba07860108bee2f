"""Any FIT bytes -> their canonical form: what the file means, independent of how it was encoded.

Rule: the form drops everything on which two correct encoders may differ (byte order, local message types, when a
definition is repeated, the profile version in the header, the bytes of a NaN). It keeps everything else, bit for bit.
The checksums are verified here, because FitCSVTool never checks the header's.
"""

from __future__ import annotations

import math
import struct
from typing import NamedTuple

from fastcrc.crc16 import arc as crc16

from weighbridge.errors import TemplateUnusable
from weighbridge.fit.profile import DEVELOPER_BY_NAME, FLOAT32
from weighbridge.fit.template import FieldPlace, Record, developer_names, walk

#: Bytes of one element, by base type number (FIT protocol, "Base Types"); 1 for all others.
_ELEMENT_BYTES = {0x83: 2, 0x84: 2, 0x8B: 2, 0x85: 4, 0x86: 4, 0x8C: 4, 0x88: 4, 0x89: 8, 0x8E: 8, 0x8F: 8, 0x90: 8}

_NO_FLOAT = b"\xff\xff\xff\xff"

#: A field: its number, or for a developer field (developer index, number).
Key = int | tuple[int, int]


class Value(NamedTuple):
    """A field's base type (-1: given by a field_description) and its bytes, big-endian."""

    base_type: int
    content: bytes

    @property
    def raw(self) -> int:
        return int.from_bytes(self.content, "big")


class Message(NamedTuple):
    number: int
    values: dict[Key, Value]


class Canonical(NamedTuple):
    """The canonical form of a file."""

    messages: list[Message]
    #: Names of developer fields, from their descriptions.
    developer_fields: dict[Key, str]


class Damaged(NamedTuple):
    """Why bytes are not an intact FIT file."""

    why: str


def canonical(content: bytes) -> Canonical | Damaged:
    """The canonical form of these bytes, or why they are damaged."""
    if why := _damage(content):
        return Damaged(why)
    try:
        records = walk(content, content[0], len(content) - 2)
    except TemplateUnusable as e:
        return Damaged(str(e))
    described = developer_names(content, records)
    floats = {key for key, (name, base) in described.items() if name in DEVELOPER_BY_NAME and base == FLOAT32.number}
    messages = [
        Message(
            record.definition.message,
            {_key(place): _value(content, record, place, floats) for place in record.definition.fields},
        )
        for record in records
    ]
    return Canonical(messages, {key: name for key, (name, _) in described.items()})


def _damage(content: bytes) -> str:
    if len(content) < 16 or content[8:12] != b".FIT" or content[0] not in (12, 14):
        return "It is not a FIT file."
    header_size = content[0]
    if len(content) != header_size + struct.unpack_from("<I", content, 4)[0] + 2:
        return "Its length does not match its header."
    # FIT protocol, "File Header": a header CRC of 0 means that it was not calculated.
    if header_size == 14 and struct.unpack_from("<H", content, 12)[0] not in (0, crc16(content[:12])):
        return "The header's CRC does not match."
    if struct.unpack_from("<H", content, len(content) - 2)[0] != crc16(content[:-2]):
        return "The file's CRC does not match."
    return ""


def _key(place: FieldPlace) -> Key:
    return place.number if place.developer_index is None else (place.developer_index, place.number)


def _value(content: bytes, record: Record, place: FieldPlace, floats: set[tuple[int, int]]) -> Value:
    start = record.start + place.start
    value = content[start : start + place.size]
    key = _key(place)
    element = 4 if key in floats else _ELEMENT_BYTES.get(place.base_type, 1)
    if record.definition.byte_order == "<" and element > 1 and place.size % element == 0:
        value = b"".join(value[at : at + element][::-1] for at in range(0, place.size, element))
    if key in floats and len(value) == 4 and math.isnan(struct.unpack(">f", value)[0]):
        value = _NO_FLOAT
    return Value(place.base_type, value)
