"""FIT bytes that `patch` made -> the template and the raw values that make the same bytes again.

Rule: the result is verified by patching again. A file that does not come out byte for byte was not written by
Weighbridge. So a kept file can be sent later as it is, whatever template is configured by then.
"""

from __future__ import annotations

import struct

from fastcrc.crc16 import arc as crc16

from ..errors import TemplateUnusable
from .encode import RawFields
from .patch import READINGS_PER_FILE, patch
from .profile import WEIGHT_SCALE_MESSAGE
from .template import Record, Template, read_header, read_template, walk


def unpatch(content: bytes) -> tuple[Template, list[RawFields]]:
    """The template and the rows of a file. Raises `TemplateUnusable` for anything that `patch` cannot have made."""
    header_size, data_end = read_header(content)
    weigh_in_records = [r for r in walk(content, header_size, data_end) if r.definition.message == WEIGHT_SCALE_MESSAGE]
    if not 1 <= len(weigh_in_records) <= READINGS_PER_FILE:
        raise TemplateUnusable(
            f"The file holds {len(weigh_in_records)} weigh-ins; 1 to {READINGS_PER_FILE} were expected."
        )
    template = read_template(_keep_first(content, header_size, weigh_in_records))
    if any(record.end - record.start != template.record.size for record in weigh_in_records):
        raise TemplateUnusable("The weigh-ins of the file do not all have the same fields.")
    rows = [_raws(template, content[record.start : record.end]) for record in weigh_in_records]
    if patch(template, rows) != content:
        raise TemplateUnusable("The file contains something that Weighbridge does not write.")
    return template, rows


def _keep_first(content: bytes, header_size: int, weigh_in_records: list[Record]) -> bytes:
    file = bytearray(content[: weigh_in_records[0].end] + content[weigh_in_records[-1].end : -2])
    struct.pack_into("<I", file, 4, len(file) - header_size)
    if header_size == 14:
        struct.pack_into("<H", file, 12, crc16(bytes(file[:12])))
    return bytes(file) + crc16(bytes(file)).to_bytes(2, "little")


def _raws(template: Template, record: bytes) -> RawFields:
    parts = zip(template.layout, template.record.unpack(record), strict=True)
    return {name: raw for (name, invalid), raw in parts if name and raw != invalid}
