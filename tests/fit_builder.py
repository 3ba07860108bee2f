"""A small FIT writer for tests, independent of the package: any byte order, header, message and field, valid or not."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from fastcrc.crc16 import arc

WEIGHT_SCALE, FILE_ID, FIELD_DESCRIPTION, DEVELOPER_DATA_ID = 30, 0, 206, 207
UINT8, UINT16, UINT32, UINT32Z, ENUM, STRING, BYTE, FLOAT32 = 0x02, 0x84, 0x86, 0x8C, 0x00, 0x07, 0x0D, 0x88


@dataclass
class Message:
    """A definition and its records. A field is (number, base type, bytes in file order)."""

    number: int
    fields: Sequence[tuple[int, int, bytes]]
    #: (number, bytes, developer data index)
    developer: Sequence[tuple[int, bytes, int]] = ()
    local: int = 0
    order: str = "<"
    records: int = 1
    compressed_timestamp: bool = False
    define: bool = True

    def to_bytes(self) -> bytes:
        flag = 0x20 if self.developer else 0
        out = b""
        if self.define:
            out = struct.pack("BBB", 0x40 | flag | self.local, 0, "<>".index(self.order))
            out += struct.pack(self.order + "HB", self.number, len(self.fields))
            out += b"".join(bytes((number, len(value), kind)) for number, kind, value in self.fields)
            if self.developer:
                out += bytes([len(self.developer)])
                out += b"".join(bytes((number, len(value), index)) for number, value, index in self.developer)
        head = 0x80 | self.local << 5 | 7 if self.compressed_timestamp else self.local
        record = bytes([head]) + b"".join(f[2] for f in self.fields) + b"".join(f[1] for f in self.developer)
        return out + record * self.records


@dataclass
class File:
    messages: Sequence[Message]
    header_size: int = 14
    header_crc: bool = True
    protocol: int = 0x20
    after: bytes = field(default=b"")

    def to_bytes(self) -> bytes:
        data = b"".join(message.to_bytes() for message in self.messages)
        header = struct.pack("<BBHI4s", self.header_size, self.protocol, 2132, len(data), b".FIT")
        if self.header_size == 14:
            header += struct.pack("<H", arc(header) if self.header_crc else 0)
        return header + data + struct.pack("<H", arc(header + data)) + self.after


def file_id(order: str = "<", kind: int = 9, local: int = 0, *, with_time: bool = True) -> Message:
    fields = [
        (0, ENUM, bytes([kind])),
        (1, UINT16, struct.pack(order + "H", 255)),
        (3, UINT32Z, struct.pack(order + "I", 7)),
    ]
    return Message(FILE_ID, fields + ([(4, UINT32, b"\0" * 4)] if with_time else []), local=local, order=order)


def weigh_in(order: str = "<", *, without: Sequence[int] = (), **options: object) -> Message:
    fields = [
        (253, UINT32, struct.pack(order + "I", 1_000_000_000)),
        (0, UINT16, struct.pack(order + "H", 7777)),
        (1, UINT16, b"\xff\xff"),
        (11, UINT8, b"\xff"),
    ]
    kept = [each for each in fields if each[0] not in without]
    return Message(WEIGHT_SCALE, kept, order=order, **({"local": 1} | options))  # type: ignore[arg-type]
