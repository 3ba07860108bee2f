"""The checks of the upload-service: what Garmin Connect accepts as a weight file, and why not.

Strategy: garmin-fit-sdk decides, never our own code. What the SDK ignores (anything after the file, which it treats as
the next file of a chain), this module checks itself.

Facts:
- `Decoder.check_integrity()` compares both CRCs, `read()` only the file's. A header CRC of zero, which the FIT
  protocol allows for "not computed", fails the integrity check; a header of 12 bytes, which has none, passes.
- `check_integrity()` leaves its stream at the end, so `read()` needs a new Decoder.
- A correct file may still not be stored: large history files got a 504 (XiaoSiHwang/garmin-weight-sync issue 8), and
  other tools use at most 200 weigh-ins per file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from garmin_fit_sdk import Decoder, Stream

from .weights import FIT_EPOCH_S

WEIGHT_FILE = 9  # file_id.type
SYSTEM_TIME_LIMIT = 0x10000000  # FIT date_time below this counts from power-up, not from 1989
PLAUSIBLE_WEIGHT_RAW = range(100, 50_001)  # 1.00 to 500.00 kg
FUTURE_LIMIT_S = 24 * 3600

RawMessage = dict[str, int]


class Refused(Exception):
    """Garmin would refuse the upload: an HTTP status and the message code and text of `failures`."""

    def __init__(self, status: int, code: int, content: str) -> None:
        super().__init__(content)
        self.status, self.code, self.content = status, code, content


def file_part(content_type: str, body: bytes) -> tuple[str, bytes]:
    """The name and the bytes of the multipart field "file" (RFC 7578)."""
    match = re.fullmatch(r'multipart/form-data;\s*boundary="?([^"]{1,70})"?', content_type)
    if match is None:
        raise Refused(406, 0, "Expected multipart/form-data.")
    delimiter = b"\r\n--" + match[1].encode()
    parts = (b"\r\n" + body).split(delimiter)
    if len(parts) < 3 or not parts[-1].startswith(b"--"):
        raise Refused(400, 0, "The multipart body is not complete.")
    for part in parts[1:-1]:
        head, separator, content = part.partition(b"\r\n\r\n")
        disposition = re.search(rb"(?im)^content-disposition:\s*form-data;(.*)$", head)
        if not separator or disposition is None:
            continue
        fields = dict(re.findall(rb'\b(name|filename)="([^"]*)"', disposition[1]))
        if fields.get(b"name") == b"file" and b"filename" in fields:
            return fields[b"filename"].decode("utf-8", "replace"), content
    raise Refused(400, 0, 'There is no file in a field called "file".')


def weigh_ins(content: bytes, now_s: float) -> list[RawMessage]:
    """The weight_scale messages of a weight file, as raw integers. Raises `Refused`."""
    if len(content) < 14 or len(content) != content[0] + int.from_bytes(content[4:8], "little") + 2:
        raise Refused(400, 1, "The file's length is not what its header says.")
    if not Decoder(Stream.from_byte_array(bytearray(content))).check_integrity():
        raise Refused(400, 1, "The SDK's integrity check failed.")
    messages, errors = Decoder(Stream.from_byte_array(bytearray(content))).read(
        enable_crc_check=False,  # `check_integrity` has compared it
        apply_scale_and_offset=False,
        convert_datetimes_to_dates=False,
        convert_types_to_strings=False,
        expand_components=False,
        merge_heart_rates=False,
    )
    if errors:
        raise Refused(400, 1, "The SDK could not read the file.")
    file_ids = messages.get("file_id_mesgs", [])
    if len(file_ids) != 1 or file_ids[0].get("type") != WEIGHT_FILE:
        raise Refused(400, 2, "Expected exactly one file_id of type weight.")
    found = messages.get("weight_scale_mesgs", [])
    if not found:
        raise Refused(400, 3, "There is no weight_scale message.")
    return [checked(message, now_s) for message in found]


def checked(message: Mapping[Any, Any], now_s: float) -> RawMessage:
    # Unknown fields have numbers for names; developer fields are grouped in a dict. Neither is stored.
    raw = {name: value for name, value in message.items() if isinstance(name, str) and isinstance(value, int)}
    if not SYSTEM_TIME_LIMIT <= raw.get("timestamp", 0) <= now_s + FUTURE_LIMIT_S - FIT_EPOCH_S:
        raise Refused(400, 4, "A weight_scale message has no plausible timestamp.")
    if raw.get("weight") not in PLAUSIBLE_WEIGHT_RAW:
        raise Refused(400, 5, "A weight_scale message has no plausible weight.")
    return raw
