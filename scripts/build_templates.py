"""make template: the shipped templates out of their definition below, or one of your own scale's file.

Strategy: a FIT file is a header, then pairs of a definition and its data, then a CRC. The definitions here are
tables with a row a field, in the order of the bytes; templates/README.md tells what each is for.
"""

from __future__ import annotations

import argparse
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

from fastcrc.crc16 import arc as crc16

from weighbridge.errors import TemplateUnusable, WeighbridgeError
from weighbridge.fit import profile
from weighbridge.fit.profile import DEVELOPER, ENUM, FLOAT32, UINT8, UINT16, UINT32, WEIGHT_SCALE
from weighbridge.fit.template import Record, read_header, read_template, walk
from weighbridge.pipeline import rehearse

TEMPLATES = Path(__file__).parent.parent / "templates"

UINT32Z, STRING, BYTE = 0x8C, 0x07, 0x0D
PROTOCOL_1, PROTOCOL_2 = 0x10, 0x20  # developer fields need protocol 2.0
PROFILE_VERSION = 21_218

#: A field of a message: number, base type number, bytes.
Row = tuple[int, int, bytes]


def u8(number: int, value: int) -> Row:
    return number, UINT8.number, bytes([value])


def u16(number: int, value: int) -> Row:
    return number, UINT16.number, struct.pack("<H", value)


def u32(number: int, value: int, base_type: int = UINT32.number) -> Row:
    return number, base_type, struct.pack("<I", value)


def text(number: int, value: str) -> Row:
    return number, STRING, value.encode() + b"\0"


def file_id(manufacturer: int, product: int, serial_number: int) -> list[Row]:
    kind = (0, ENUM.number, bytes([profile.FILE_TYPE_WEIGHT]))
    return [kind, u16(1, manufacturer), u16(2, product), u32(3, serial_number, UINT32Z), u32(4, 0)]


#: timestamp first, as the SDKs do; every field that a reading can fill, and none that it cannot.
WEIGHT = [
    (field.number, field.base_type.number, b"\xff" * field.base_type.size) for field in WEIGHT_SCALE if field.source
]

#: "weighbridge 1" and three zeros: any 16 bytes that are the same in every file, and nobody else's.
APPLICATION_ID = b"weighbridge 1".ljust(16, b"\0")


def plain() -> bytes:
    """templates/weight_scale.fit: Garmin's Index scale (manufacturer 1, product 2429), all native fields."""
    data = message(0, profile.FILE_ID, file_id(1, 2429, 1234)) + message(1, profile.WEIGHT_SCALE_MESSAGE, WEIGHT)
    return sealed(PROTOCOL_1, data)


def developer() -> bytes:
    """templates/weight_scale_developer.fit: manufacturer 255 (development), and four fields of our own."""
    data = message(0, profile.FILE_ID, file_id(255, 0, 1234))
    data += message(2, profile.DEVELOPER_DATA_ID, [(0, BYTE, APPLICATION_ID), u8(3, 0)])
    for field in DEVELOPER:
        row = [u8(0, 0), u8(1, field.number), u8(2, FLOAT32.number), text(3, field.name), text(8, field.unit)]
        data += message(3, profile.FIELD_DESCRIPTION, row)
    data += message(1, profile.WEIGHT_SCALE_MESSAGE, WEIGHT, [(f.number, 4, 0) for f in DEVELOPER])
    return sealed(PROTOCOL_2, data)


def message(local: int, number: int, rows: Sequence[Row], developer: Sequence[tuple[int, int, int]] = ()) -> bytes:
    """A definition and one record of it; developer fields (number, size, index) are empty."""
    head = struct.pack("<BBBHB", 0x40 | (0x20 if developer else 0) | local, 0, 0, number, len(rows))
    head += b"".join(bytes((field, len(value), base_type)) for field, base_type, value in rows)
    if developer:
        head += bytes([len(developer)]) + b"".join(map(bytes, developer))
    empty = b"".join(b"\xff" * size for _, size, _ in developer)
    return head + bytes([local]) + b"".join(value for _, _, value in rows) + empty


def sealed(protocol: int, data: bytes) -> bytes:
    header = struct.pack("<BBHI4s", 14, protocol, PROFILE_VERSION, len(data), b".FIT")
    content = header + crc16(header).to_bytes(2, "little") + data
    return content + crc16(content).to_bytes(2, "little")


SHIPPED = {"weight_scale.fit": plain, "weight_scale_developer.fit": developer}

# --- out of a scale's own file ---

#: Messages that say which device it was, or that the weigh-in's fields need. All others may be personal, and go.
DEVICE_INFO = 23
KEPT = {
    profile.FILE_ID: "file_id",
    49: "file_creator",
    DEVICE_INFO: "device_info",
    profile.DEVELOPER_DATA_ID: "developer_data_id",
    profile.FIELD_DESCRIPTION: "field_description",
}

#: The fields without which a weigh-in is none: timestamp and weight.
NEEDED = {profile.TIMESTAMP_FIELD, 0}

#: Base types whose invalid value is zero: string, and those with a z (FIT protocol, "Base Types").
ZERO_IS_INVALID = {0x07, 0x0A, 0x8B, 0x8C, 0x90}


def from_scale(content: bytes) -> bytes:
    """A scale's own file, of any size -> a template with its identity and one empty weigh-in.

    Raises `TemplateUnusable` when the file has no weigh-in that could be one.
    """
    header_size, data_end = read_header(content)
    records = walk(content, header_size, data_end)
    weighings = [
        record
        for record in records
        if record.definition.message == profile.WEIGHT_SCALE_MESSAGE and not record.compressed_timestamp
    ]
    if not weighings:
        raise TemplateUnusable("The file holds no weigh-in (weight_scale record with a timestamp of its own).")
    # A calibration or a half-measured weigh-in may lack fields that the others have.
    weighing = max(weighings, key=lambda record: (numbers(record) >= NEEDED, len(record.definition.fields)))
    data = b"".join(kept(content, records))
    data += defined(weighing, 1) + b"\1" + emptied(weighing)
    (profile_version,) = struct.unpack_from("<H", content, 2)
    header = struct.pack("<BBHI4s", 14, content[1], profile_version, len(data), b".FIT")
    made = header + crc16(header).to_bytes(2, "little") + data
    return made + crc16(made).to_bytes(2, "little")


def numbers(record: Record) -> set[int]:
    return {place.number for place in record.definition.fields if place.developer_index is None}


def kept(content: bytes, records: Sequence[Record]) -> list[bytes]:
    """The messages of `KEPT`, each with its definition and none twice, without the instants in them."""
    found: dict[bytes, None] = {}
    devices = 0
    for record in records:
        message = record.definition.message
        if message not in KEPT or record.compressed_timestamp:
            continue
        # A scale tells its device again with each weigh-in (with its battery's state); the first one is the creator.
        devices += message == DEVICE_INFO
        if message == DEVICE_INFO and devices > 1:
            continue
        values = bytearray(content[record.start : record.end])
        values[0] = 0
        for place in record.definition.fields:
            if (place.number, place.developer_index) == (profile.TIMESTAMP_FIELD, None):
                values[place.start : place.start + place.size] = b"\xff" * place.size
        found[defined(record, 0) + bytes(values)] = None
    return list(found)


def defined(record: Record, local: int) -> bytes:
    """The definition of a record, as bytes."""
    definition = record.definition
    native = [place for place in definition.fields if place.developer_index is None]
    developer = [place for place in definition.fields if place.developer_index is not None]
    flag, architecture = (0x20 if developer else 0), "<>".index(definition.byte_order)
    head = struct.pack("BBB", 0x40 | flag | local, 0, architecture)
    head += struct.pack(definition.byte_order + "HB", definition.message, len(native))
    head += b"".join(bytes((place.number, place.size, place.base_type)) for place in native)
    if developer:
        head += bytes([len(developer)])
        head += b"".join(bytes((place.number, place.size, place.developer_index or 0)) for place in developer)
    return head


def emptied(record: Record) -> bytes:
    """A weigh-in of the same form in which nothing is measured."""
    return b"".join(
        (b"\0" if place.base_type in ZERO_IS_INVALID else b"\xff") * place.size for place in record.definition.fields
    )


def prove_usable(content: bytes) -> None:
    """A template counts only when readings were patched into it and proven. Raises `TemplateUnusable`."""
    rehearse(read_template(content))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.build_templates", description=__doc__)
    parser.add_argument("--from", dest="source", type=Path, metavar="FIT", help="a file of your own scale")
    parser.add_argument("-o", "--output", type=Path, help="where to write it (default: templates/my_NAME)")
    options = parser.parse_args()
    if options.source is None:
        made = {TEMPLATES / name: build() for name, build in SHIPPED.items()}
    else:
        try:
            output = options.output or TEMPLATES / f"my_{options.source.name}"
            if output.exists() and output.samefile(options.source):
                sys.exit(f"{output} is the scale's own file, which would be lost: choose another output.")
            made = {output: from_scale(options.source.read_bytes())}
        except OSError as e:
            sys.exit(f"{options.source} cannot be read: {e.strerror}.")
        except TemplateUnusable as e:
            sys.exit(f"{options.source}: {e}")
    for path, content in made.items():
        try:
            prove_usable(content)
        except WeighbridgeError as e:
            sys.exit(f"{path.name} would not be usable: {e}")
        try:
            path.write_bytes(content)
        except OSError as e:
            sys.exit(f"{path} cannot be written: {e.strerror}.")
        print(f"{path}: {len(content)} bytes, proven with a reading. It takes:")
        print("  " + ", ".join(slot.name for slot in read_template(content).slots))
    if options.source is not None:
        print(f"Use it with WEIGHBRIDGE_TEMPLATE={output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
