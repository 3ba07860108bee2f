"""Template × raw values -> FIT bytes.

Rule: only the slots, file_id.time_created and the CRCs change. For several readings, the data size changes too and
the one weight_scale record is repeated. Every other byte is the template's. No clock: time_created is the instant of
the first reading, so the same readings are the same bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from fastcrc.crc16 import arc as crc16

from .encode import RawFields
from .template import Template

#: Weigh-ins in one file. A large history file got a 504 from Garmin (XiaoSiHwang/garmin-weight-sync issue 8);
#: others send at most 200.
READINGS_PER_FILE = 200


def patch(template: Template, rows: Sequence[RawFields]) -> bytes:
    """The bytes of a file with these 1 to 200 weigh-ins. Raises ValueError for any other number."""
    if not 1 <= len(rows) <= READINGS_PER_FILE:
        raise ValueError(f"Expected 1 to {READINGS_PER_FILE} readings for one file, got {len(rows)}.")
    content, pack = template.content, template.record.pack
    records = [pack(*[raws.get(name, own) if name else own for name, own in template.layout]) for raws in rows]
    file = bytearray(b"".join([content[: template.record_start], *records, content[template.record_end : -2]]))
    if template.time_created:
        at, byte_order = template.time_created
        struct.pack_into(byte_order + "I", file, at, rows[0]["timestamp"])
    if len(rows) > 1:
        struct.pack_into("<I", file, 4, len(file) - template.header_size)
    if template.header_size == 14:
        # Even if the template has none (0): Garmin's SDK refuses a header of 14 bytes without it.
        struct.pack_into("<H", file, 12, crc16(bytes(file[:12])))
    body = bytes(file)
    return body + crc16(body).to_bytes(2, "little")
