"""Bytes -> Template: walks the file's definitions and finds the places that may be written.

Strategy: whatever is not a slot stays as it is. So the walk must know where each field is, but not what it means. A
file that it cannot account for, byte by byte, is refused.

Weakness: the walk is more lenient than fitdecode. `pipeline.rehearse` finds what only fitdecode refuses.

Facts (FIT protocol): header of 12 or 14 bytes, in which a header CRC of 0 means none; a definition says per field
number, size and base type, and its architecture byte whether values are big-endian; a record header with bit 7 set
carries a compressed timestamp and belongs to local types 0 to 3; both CRCs are CRC-16/ARC.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fastcrc.crc16 import arc as crc16

from ..errors import TemplateUnusable
from .profile import (
    DEVELOPER_BY_NAME,
    FIELD_DESCRIPTION,
    FILE_ID,
    FILE_TYPE_WEIGHT,
    NATIVE_BY_NUMBER,
    TIME_CREATED_FIELD,
    UINT32,
    WEIGHT_SCALE_MESSAGE,
    BaseType,
)

LARGEST_TEMPLATE_BYTES = 65_536


class Slot(NamedTuple):
    """A writable field of the weight_scale record: its name, its bytes in the record, its base type."""

    name: str
    start: int
    base_type: BaseType


class FieldPlace(NamedTuple):
    """A field of any record: its place in the record."""

    number: int
    size: int
    base_type: int
    start: int
    developer_index: int | None = None


class Definition(NamedTuple):
    """What a local message type means, until the next definition."""

    message: int
    byte_order: str
    fields: tuple[FieldPlace, ...]
    size: int


class Record(NamedTuple):
    """One data record: its first byte (the record header), its end, its definition."""

    start: int
    end: int
    definition: Definition
    compressed_timestamp: bool


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """A FIT file with exactly one weigh-in, and the places in it that may be written."""

    content: bytes
    header_size: int
    byte_order: str
    slots: tuple[Slot, ...]
    #: The weight_scale record, its header byte included.
    record_start: int
    record_end: int
    #: Where file_id.time_created is, and its byte order; None if the file has none.
    time_created: tuple[int, str] | None
    #: The names of the fields that can be written.
    fields: frozenset[str]
    #: The whole record as one struct: for each part the slot's name and its invalid value, or None and the
    #: template's own bytes.
    record: struct.Struct
    layout: tuple[tuple[str | None, int | bytes], ...]


def read_template(content: bytes) -> Template:
    """Bytes -> Template. Raises `TemplateUnusable`, which names the byte and what is there."""
    if len(content) > LARGEST_TEMPLATE_BYTES:
        raise TemplateUnusable(
            f"The template has {len(content)} bytes; at most {LARGEST_TEMPLATE_BYTES} are accepted. "
            "`weighbridge template --from FILE` makes a small one from it."
        )
    header_size, data_end = read_header(content)
    records = walk(content, header_size, data_end)
    weigh_in_records = [record for record in records if record.definition.message == WEIGHT_SCALE_MESSAGE]
    if len(weigh_in_records) != 1:
        raise TemplateUnusable(
            f"The template holds {len(weigh_in_records)} weigh-ins (weight_scale records); exactly one is needed. "
            "`weighbridge template --from FILE` makes one from your file."
        )
    (weigh_in_record,) = weigh_in_records
    if weigh_in_record.compressed_timestamp:
        raise TemplateUnusable(
            f"The weigh-in at byte {weigh_in_record.start} has a compressed timestamp, which cannot hold every instant."
        )
    slots = tuple(_slots(weigh_in_record, developer_names(content, records)))
    names = [slot.name for slot in slots]
    for needed in ("timestamp", "weight"):
        if needed not in names:
            raise TemplateUnusable(f"The weigh-in at byte {weigh_in_record.start} has no {needed} field.")
    if len(set(names)) != len(names):
        raise TemplateUnusable(f"The weigh-in at byte {weigh_in_record.start} has a field twice.")
    record, layout = _layout(content, weigh_in_record, slots)
    return Template(
        content=content,
        header_size=header_size,
        byte_order=weigh_in_record.definition.byte_order,
        slots=slots,
        record_start=weigh_in_record.start,
        record_end=weigh_in_record.end,
        time_created=_time_created(content, records),
        fields=frozenset(names),
        record=record,
        layout=layout,
    )


def read_header(content: bytes) -> tuple[int, int]:
    """The size of the header, and where the records end. Raises `TemplateUnusable` if anything is damaged."""
    if len(content) < 14 or content[8:12] != b".FIT":
        raise TemplateUnusable("This is not a FIT file: bytes 8 to 11 are not .FIT.")
    header_size = content[0]
    if header_size not in (12, 14):
        raise TemplateUnusable(f"The FIT header has {header_size} bytes (byte 0); 12 or 14 were expected.")
    (data_size,) = struct.unpack_from("<I", content, 4)
    data_end = header_size + data_size
    if len(content) != data_end + 2:
        what = "is cut off" if len(content) < data_end + 2 else "has something after its end (junk or a second file)"
        raise TemplateUnusable(f"The file {what}: its header says {data_end + 2} bytes, but it has {len(content)}.")
    if header_size == 14:
        (header_crc,) = struct.unpack_from("<H", content, 12)
        if header_crc not in (0, crc16(content[:12])):
            raise TemplateUnusable("The header is damaged: its CRC at byte 12 does not match.")
    if struct.unpack_from("<H", content, data_end) != (crc16(content[:data_end]),):
        raise TemplateUnusable(f"The file is damaged: its CRC at byte {data_end} does not match.")
    return header_size, data_end


def walk(content: bytes, start: int, end: int) -> list[Record]:
    """Every data record between two bytes. Raises `TemplateUnusable` if the records do not fit."""
    records: list[Record] = []
    definitions: dict[int, Definition] = {}
    position = start
    while position < end:
        header = content[position]
        if header & 0xC0 == 0x40:
            definition, position = _definition(content, position, end)
            definitions[header & 0x0F] = definition
            continue
        compressed = bool(header & 0x80)
        local = (header >> 5) & 0x03 if compressed else header & 0x0F
        if local not in definitions:
            raise TemplateUnusable(f"The record at byte {position} is of local type {local}, which nothing defines.")
        record = Record(position, position + definitions[local].size, definitions[local], compressed)
        if record.end > end:
            raise TemplateUnusable(f"The record at byte {position} is cut off by the end of the data at byte {end}.")
        records.append(record)
        position = record.end
    return records


def _definition(content: bytes, start: int, end: int) -> tuple[Definition, int]:
    cut_off = TemplateUnusable(f"The definition at byte {start} is cut off by the end of the data at byte {end}.")
    if start + 6 > end:
        raise cut_off
    architecture = content[start + 2]
    if architecture not in (0, 1):
        raise TemplateUnusable(f"The definition at byte {start} has architecture {architecture}; 0 or 1 was expected.")
    byte_order = "<>"[architecture]
    message, count = struct.unpack_from(f"{byte_order}HB", content, start + 3)
    position = start + 6
    places: list[FieldPlace] = []
    at = 1  # byte 0 of a record is its header
    if position + 3 * count > end:
        raise cut_off
    for number, size, base_type in struct.iter_unpack("3B", content[position : position + 3 * count]):
        places.append(FieldPlace(number, size, base_type, at))
        at += size
    position += 3 * count
    if content[start] & 0x20:
        if position + 1 > end or position + 1 + 3 * content[position] > end:
            raise cut_off
        after = position + 1 + 3 * content[position]
        for number, size, index in struct.iter_unpack("3B", content[position + 1 : after]):
            places.append(FieldPlace(number, size, -1, at, index))
            at += size
        position = after
    return Definition(message, byte_order, tuple(places), at), position


def developer_names(content: bytes, records: Sequence[Record]) -> dict[tuple[int, int], tuple[str, int]]:
    """(developer index, field number) -> its name and base type, from the field_description messages."""
    names: dict[tuple[int, int], tuple[str, int]] = {}
    for record in records:
        if record.definition.message == FIELD_DESCRIPTION:
            values = {
                place.number: content[record.start + place.start : record.start + place.start + place.size]
                for place in record.definition.fields
            }
            # field_description: 0 developer_data_index, 1 field_definition_number, 2 fit_base_type_id, 3 field_name
            if all(values.get(number) for number in range(4)):
                name = values[3].split(b"\0")[0].decode("utf-8", "replace")
                names[values[0][0], values[1][0]] = (name, values[2][0])
    return names


def _slots(record: Record, names: dict[tuple[int, int], tuple[str, int]]) -> list[Slot]:
    slots = []
    for place in record.definition.fields:
        if place.developer_index is None:
            field = NATIVE_BY_NUMBER.get(place.number)
            base_type = place.base_type
        else:
            name, base_type = names.get((place.developer_index, place.number), ("", -1))
            field = DEVELOPER_BY_NAME.get(name)
        if field is None or not field.source:
            continue
        if (place.size, base_type) != (field.base_type.size, field.base_type.number):
            raise TemplateUnusable(
                f"The field {field.name} of the weigh-in at byte {record.start} has base type {base_type:#04x} and "
                f"{place.size} bytes; {field.base_type.name} with {field.base_type.size} bytes was expected."
            )
        slots.append(Slot(field.name, place.start, field.base_type))
    return slots


def _time_created(content: bytes, records: Sequence[Record]) -> tuple[int, str] | None:
    file_ids = [record for record in records if record.definition.message == FILE_ID]
    if len(file_ids) != 1:
        raise TemplateUnusable(f"The template has {len(file_ids)} file_id messages; exactly one was expected.")
    (file_id,) = file_ids
    places = {place.number: place for place in file_id.definition.fields if place.developer_index is None}
    kind = places.get(0)
    if kind is None or kind.size != 1 or content[file_id.start + kind.start] != FILE_TYPE_WEIGHT:
        raise TemplateUnusable("The template is not a weight file: file_id.type is not weight (9).")
    created = places.get(TIME_CREATED_FIELD)
    if created is None:
        return None
    if (created.size, created.base_type) != (UINT32.size, UINT32.number):
        raise TemplateUnusable("The template's file_id.time_created is not a uint32.")
    return file_id.start + created.start, file_id.definition.byte_order


def _layout(
    content: bytes, record: Record, slots: Sequence[Slot]
) -> tuple[struct.Struct, tuple[tuple[str | None, int | bytes], ...]]:
    parts: list[tuple[str | None, int | bytes]] = []
    format_ = record.definition.byte_order
    position = 0
    for slot in [*slots, None]:
        start = slot.start if slot else record.end - record.start
        if start > position:
            parts.append((None, content[record.start + position : record.start + start]))
            format_ += f"{start - position}s"
        if slot:
            parts.append((slot.name, slot.base_type.invalid))
            format_ += slot.base_type.struct_char
            position = start + slot.base_type.size
    return struct.Struct(format_), tuple(parts)
