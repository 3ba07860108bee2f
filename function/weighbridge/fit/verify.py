"""The proof: fitdecode, a third-party library, decodes the finished bytes, and everything is compared.

Rule: the proof trusts the template and the raw values, and nothing that `patch` did. What it has not compared is not
proven. `VerifiedFit` is made only here, and it is the only thing that a delivery accepts.

Facts (fitdecode 0.11): it is strict only on request. It then finds truncation, junk and undefined local types. It
accepts invalid values, unknown fields, several files in one, and an empty file. Its CRC is a loop in Python, which
takes as long as everything else that it does.

Strategy: fitdecode decodes every value, and fastcrc, another third-party library, calculates both CRCs.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import fitdecode
from fastcrc.crc16 import arc as crc16
from fitdecode import CrcCheck, ErrorHandling

from ..errors import ProofFailed
from .encode import RawFields
from .profile import DEVELOPER_BY_NAME, FLOAT32, NATIVE_BY_NUMBER, WEIGHT_SCALE_MESSAGE
from .template import Template

#: What Garmin's Java tools write for a missing float, instead of the profile's invalid value.
JAVA_NAN = 0x7FC00000


@dataclass(frozen=True, slots=True)
class VerifiedFit:
    """The bytes of a FIT file that hold exactly the expected values."""

    content: bytes = field(repr=False)
    sha256: str
    readings: int


def verify(content: bytes, template: Template, rows: Sequence[RawFields]) -> VerifiedFit:
    """Bytes -> the proof that they are `template` with `rows`. Raises `ProofFailed`."""
    _prove_unchanged(content, template, len(rows))
    frames = _decode(content)
    weigh_in_records = [
        frame
        for frame in frames
        if isinstance(frame, fitdecode.FitDataMessage) and frame.global_mesg_num == WEIGHT_SCALE_MESSAGE
    ]
    if len(weigh_in_records) != len(rows):
        raise ProofFailed(f"The file decodes to {len(weigh_in_records)} weigh-ins; {len(rows)} were expected.")
    for number, (frame, raws) in enumerate(zip(weigh_in_records, rows, strict=True), 1):
        _prove_values(frame, raws, template, number)
    _prove_time_created(content, template, rows[0])
    return VerifiedFit(content, sha256(content).hexdigest(), len(rows))


def _decode(content: bytes) -> list[object]:
    try:
        # `_prove_unchanged` has compared both CRCs with those of fastcrc.
        reader = fitdecode.FitReader(
            content, processor=None, check_crc=CrcCheck.DISABLED, error_handling=ErrorHandling.RAISE
        )
        frames = list(reader)
    except Exception as e:  # noqa: BLE001  # damaged bytes make fitdecode fail in many ways; all mean the same
        raise ProofFailed(f"fitdecode cannot read the file: {type(e).__name__}.") from None
    kinds = [frame.frame_type for frame in frames]
    if kinds.count(fitdecode.FIT_FRAME_HEADER) != 1 or kinds[0] != fitdecode.FIT_FRAME_HEADER:
        raise ProofFailed("The file does not decode to exactly one header at its start.")
    if kinds.count(fitdecode.FIT_FRAME_CRC) != 1 or kinds[-1] != fitdecode.FIT_FRAME_CRC:
        raise ProofFailed("The file does not end with its CRC.")
    return frames


def _prove_values(frame: fitdecode.FitDataMessage, raws: RawFields, template: Template, number: int) -> None:
    seen: dict[str, object] = {}
    for data in frame.fields:
        known = (
            DEVELOPER_BY_NAME.get(data.field.name)
            if data.field_def is not None and data.field_def.is_dev
            else NATIVE_BY_NUMBER.get(data.def_num)
        )
        if known is not None and known.source:
            if known.name in seen:
                raise ProofFailed(f"Weigh-in {number} has {known.name} twice.")
            raw = data.raw_value
            if raw is not None and known.base_type is FLOAT32:
                if not isinstance(raw, float):
                    # The file has two descriptions of this field, and they disagree.
                    raise ProofFailed(f"Weigh-in {number} does not hold {known.name} as float32.")
                (raw,) = struct.unpack("<I", struct.pack("<f", raw))
            seen[known.name] = raw
    if seen.keys() != template.fields:
        raise ProofFailed(f"Weigh-in {number} does not have the fields of the template.")
    for name, raw in seen.items():
        if raw != raws.get(name):
            raise ProofFailed(f"Weigh-in {number} does not hold the expected {name}.")


def _prove_unchanged(content: bytes, template: Template, readings: int) -> None:
    """Check that both CRCs match, and that everything outside the slots is the template's, byte for byte."""
    own = template.content
    size = template.record_end - template.record_start
    growth = (readings - 1) * size
    if len(content) != len(own) + growth:
        raise ProofFailed(f"The file has {len(content)} bytes; {len(own) + growth} were expected.")
    (data_size,) = struct.unpack_from("<I", content, 4)
    if data_size != len(content) - template.header_size - 2:
        raise ProofFailed("The header does not hold the size of the data.")
    if template.header_size == 14 and content[12:14] != crc16(content[:12]).to_bytes(2, "little"):
        raise ProofFailed("The header CRC does not match.")
    if content[-2:] != crc16(content[:-2]).to_bytes(2, "little"):
        raise ProofFailed("The file CRC does not match.")
    written = [(4, 8), (12, template.header_size)]
    if template.time_created:
        written.append((template.time_created[0], template.time_created[0] + 4))
    if not _equal_outside(written, content[: template.record_start], own[: template.record_start]):
        raise ProofFailed("A byte before the weigh-in is not the template's.")
    slots = [(slot.start, slot.start + slot.base_type.size) for slot in template.slots]
    floats = [slot.start for slot in template.slots if slot.base_type is FLOAT32]
    record = own[template.record_start : template.record_end]
    for index in range(readings):
        start = template.record_start + index * size
        if not _equal_outside(slots, content[start : start + size], record):
            raise ProofFailed(f"A byte of weigh-in {index + 1} that is not a value is not the template's.")
        for at in floats:
            # Every NaN decodes to "not measured"; encoders write only these two.
            (raw,) = struct.unpack_from(template.byte_order + "I", content, start + at)
            (number,) = struct.unpack_from(template.byte_order + "f", content, start + at)
            if math.isnan(number) and raw not in (FLOAT32.invalid, JAVA_NAN):
                raise ProofFailed(f"A developer field of weigh-in {index + 1} is neither a number nor empty.")
    if content[template.record_end + growth : -2] != own[template.record_end : -2]:
        raise ProofFailed("A byte after the weigh-in is not the template's.")


def _equal_outside(written: Sequence[tuple[int, int]], ours: bytes, own: bytes) -> bool:
    """Whether two byte strings are equal outside the places that may be written."""
    position = 0
    for start, end in [*sorted(written), (len(own), len(own))]:
        if ours[position:start] != own[position:start]:
            return False
        position = end
    return True


def _prove_time_created(content: bytes, template: Template, raws: RawFields) -> None:
    if template.time_created:
        at, byte_order = template.time_created
        if struct.unpack_from(byte_order + "I", content, at) != (raws["timestamp"],):
            raise ProofFailed("The file's time_created is not the first reading's instant.")
