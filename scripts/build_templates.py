"""python -m scripts.build_templates: build the shipped templates from the definitions below.

Strategy: a FIT file is a header, then pairs of a definition and its data, then a CRC. The definitions here are
tables with one row for each field, in the order of the bytes. templates/README.md explains what each is for.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Sequence

from fastcrc.crc16 import arc as crc16

from weighbridge.errors import WeighbridgeError
from weighbridge.fit import profile
from weighbridge.fit.profile import DEVELOPER, ENUM, FLOAT32, UINT8, UINT16, UINT32, WEIGHT_SCALE
from weighbridge.operate.template import write
from weighbridge.resources import TEMPLATES

UINT32Z, STRING, BYTE = 0x8C, 0x07, 0x0D
PROTOCOL_1, PROTOCOL_2 = 0x10, 0x20  # developer fields need protocol 2.0
PROFILE_VERSION = 21_218

#: A field of a message: number, base type number, bytes.
FieldSpec = tuple[int, int, bytes]


def u8(number: int, value: int) -> FieldSpec:
    return number, UINT8.number, bytes([value])


def u16(number: int, value: int) -> FieldSpec:
    return number, UINT16.number, struct.pack("<H", value)


def u32(number: int, value: int, base_type: int = UINT32.number) -> FieldSpec:
    return number, base_type, struct.pack("<I", value)


def text(number: int, value: str) -> FieldSpec:
    return number, STRING, value.encode() + b"\0"


def file_id(manufacturer: int, product: int, serial_number: int) -> list[FieldSpec]:
    kind = (0, ENUM.number, bytes([profile.FILE_TYPE_WEIGHT]))
    return [kind, u16(1, manufacturer), u16(2, product), u32(3, serial_number, UINT32Z), u32(4, 0)]


#: timestamp first, as in the SDKs; then every field that a reading can fill, and no other.
WEIGHT = [
    (field.number, field.base_type.number, b"\xff" * field.base_type.size) for field in WEIGHT_SCALE if field.source
]

#: "weighbridge 1" and three zeros. Any 16 bytes will do that are the same in every file and that no one else uses.
APPLICATION_ID = b"weighbridge 1".ljust(16, b"\0")


def plain() -> bytes:
    """templates/weight_scale.fit: Garmin's Index scale (manufacturer 1, product 2429), all native fields."""
    data = message(0, profile.FILE_ID, file_id(1, 2429, 1234)) + message(1, profile.WEIGHT_SCALE_MESSAGE, WEIGHT)
    return sealed(PROTOCOL_1, data)


def developer() -> bytes:
    """templates/weight_scale_developer.fit: manufacturer 255 (development), and our four developer fields."""
    data = message(0, profile.FILE_ID, file_id(255, 0, 1234))
    data += message(2, profile.DEVELOPER_DATA_ID, [(0, BYTE, APPLICATION_ID), u8(3, 0)])
    for field in DEVELOPER:
        row = [u8(0, 0), u8(1, field.number), u8(2, FLOAT32.number), text(3, field.name), text(8, field.unit)]
        data += message(3, profile.FIELD_DESCRIPTION, row)
    data += message(1, profile.WEIGHT_SCALE_MESSAGE, WEIGHT, [(f.number, 4, 0) for f in DEVELOPER])
    return sealed(PROTOCOL_2, data)


def message(
    local: int, number: int, rows: Sequence[FieldSpec], developer: Sequence[tuple[int, int, int]] = ()
) -> bytes:
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


def main() -> int:
    try:
        for name, build in SHIPPED.items():
            write(TEMPLATES / name, build())
    except WeighbridgeError as e:
        sys.exit(str(e))
    return 0


if __name__ == "__main__":
    sys.exit(main())
