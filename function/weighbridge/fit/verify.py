"""The proof: fitdecode, a third-party library, decodes the finished bytes, and everything is compared.

Rule: the proof trusts the template and the raw values, and nothing that `patch` did. What it has not compared is not
proven. `VerifiedFit` is made only here, and it is the only thing that a delivery accepts.

Facts (fitdecode 0.11): it is strict only on request. It then finds truncation, junk and undefined local types. It
accepts invalid values, unknown fields, several files in one, and an empty file. Its CRC is a loop in Python, which
takes as long as everything else that it does. A third of the rest is `blocking_read`, which can wait for a pipe.

Strategy: fitdecode decodes every value, from bytes in memory, and fastcrc, another third-party library, calculates both
CRCs. What is not a value is compared with the template as one large integer, under a mask. Only the raw values of a
message are taken, because they are what is compared. To make them into numbers with units takes fitdecode as long as
to decode them.

Weakness: how fitdecode gets its next bytes and the raw values of a message, and that a definition is the same whenever
its bytes are, is not public. So its version is bound, and a test compares `_Reader` with fitdecode itself, on whole and
on damaged files.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import ClassVar, NamedTuple

import fitdecode
from fastcrc.crc16 import arc as crc16
from fitdecode import CrcCheck, ErrorHandling

from ..errors import ProofFailed
from .encode import RawFields
from .profile import (
    DEVELOPER_BY_NAME,
    DEVELOPER_DATA_ID,
    FIELD_DESCRIPTION,
    FLOAT32,
    NATIVE_BY_NUMBER,
    WEIGHT_SCALE_MESSAGE,
    Field,
)
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
    weigh_in_records = _decode(content)
    if len(weigh_in_records) != len(rows):
        raise ProofFailed(f"The file decodes to {len(weigh_in_records)} weigh-ins; {len(rows)} were expected.")
    definition: fitdecode.FitDefinitionMessage | None = None
    fields: _Fields = ()
    for number, (frame, raws) in enumerate(zip(weigh_in_records, rows, strict=True), 1):
        if frame.def_mesg is not definition:
            definition = frame.def_mesg
            fields = _fields_of(definition, template)
        _prove_values(frame, fields, raws, number)
    _prove_time_created(content, template, rows[0])
    return VerifiedFit(content, sha256(content).hexdigest(), len(rows))


class _Reader(fitdecode.FitReader):  # type: ignore[misc]  # it has no types
    """fitdecode, which takes its next bytes from memory, and decodes the same definition once.

    The `fields` of a message are its raw values, in the order of its definition.
    """

    #: The bytes of a definition -> what fitdecode made of them.
    _definitions: ClassVar[dict[bytes, fitdecode.FitDefinitionMessage]] = {}

    def __init__(self, content: bytes) -> None:
        # `_prove_unchanged` has compared both CRCs with those of fastcrc.
        super().__init__(content, processor=None, check_crc=CrcCheck.DISABLED, error_handling=ErrorHandling.RAISE)
        self._content = content

    def _read_bytes(self, size: int) -> bytes:
        if size <= 0:
            raise ValueError("size")
        start = self._read_offset
        chunk = self._content[start : start + size]
        if len(chunk) != size:
            raise fitdecode.FitEOFError(size, len(chunk), start)
        self._chunk_size += size
        self._read_offset += size
        self._read_size += size
        return chunk

    def _read_definition_message(self, header_chunk: bytes, record_header: object) -> fitdecode.FitDefinitionMessage:
        start = self._read_offset
        size = 5 + 3 * self._content[start + 4] if start + 4 < len(self._content) else 0
        written = header_chunk + self._content[start : start + size]
        if (known := self._definitions.get(written)) is not None:
            self._read_bytes(size)
            self._local_mesg_defs[known.local_mesg_num] = known
            return known
        found = super()._read_definition_message(header_chunk, record_header)
        # One with developer fields depends on earlier messages, and one with an accumulator prepares for later ones.
        if self._read_offset - start == size and not found.is_developer_data and not self._accumulators:
            if len(self._definitions) >= _MOST_DEFINITIONS:
                self._definitions.clear()
            self._definitions[written] = found
        return found

    def _read_data_message(
        self, header_chunk: bytes, record_header: fitdecode.reader.RecordHeader
    ) -> fitdecode.FitDataMessage:
        local = record_header.local_mesg_num
        definition = self._local_mesg_defs.get(local)
        if definition is None or definition.global_mesg_num in _DESCRIBING:
            return super()._read_data_message(header_chunk, record_header)
        _, raw_values = self._read_data_message_raw_values(definition)
        is_developer_data, time_offset = record_header.is_developer_data, record_header.time_offset
        return fitdecode.FitDataMessage(is_developer_data, local, time_offset, definition, raw_values, None)


#: Messages that say what developer fields are: fitdecode looks values up in them by name.
_DESCRIBING = frozenset((DEVELOPER_DATA_ID, FIELD_DESCRIPTION))
#: More than all messages of several templates have.
_MOST_DEFINITIONS = 64


def _decode(content: bytes) -> list[fitdecode.FitDataMessage]:
    """The weigh-ins of a file."""
    try:
        frames = list(_Reader(content))
    except Exception as e:  # noqa: BLE001  # damaged bytes make fitdecode fail in many ways; all mean the same
        raise ProofFailed(f"fitdecode cannot read the file: {type(e).__name__}.") from None
    kinds = [frame.frame_type for frame in frames]
    if kinds.count(fitdecode.FIT_FRAME_HEADER) != 1 or kinds[0] != fitdecode.FIT_FRAME_HEADER:
        raise ProofFailed("The file does not decode to exactly one header at its start.")
    if kinds.count(fitdecode.FIT_FRAME_CRC) != 1 or kinds[-1] != fitdecode.FIT_FRAME_CRC:
        raise ProofFailed("The file does not end with its CRC.")
    return [
        frame
        for frame in frames
        if frame.frame_type == fitdecode.FIT_FRAME_DATA and frame.def_mesg.global_mesg_num == WEIGHT_SCALE_MESSAGE
    ]


#: For each field of a record in its order: what it is, or None if it is not a value of a reading.
_Fields = tuple[Field | None, ...]


@lru_cache(maxsize=8)
def _fields_of(definition: fitdecode.FitDefinitionMessage, template: Template) -> _Fields:
    known = tuple(
        DEVELOPER_BY_NAME.get(field.name) if field.is_dev else NATIVE_BY_NUMBER.get(field.def_num)
        for field in definition.all_field_defs
    )
    fields = tuple(field if field and field.source else None for field in known)
    names = [field.name for field in fields if field]
    if len(set(names)) != len(names):
        raise ProofFailed("A weigh-in has a field twice.")
    if set(names) != template.fields:
        raise ProofFailed("A weigh-in does not have the fields of the template.")
    return fields


def _prove_values(frame: fitdecode.FitDataMessage, fields: _Fields, raws: RawFields, number: int) -> None:
    if len(frame.fields) != len(fields):
        raise ProofFailed(f"Weigh-in {number} does not have the fields of its definition.")
    for known, raw in zip(fields, frame.fields, strict=True):
        if known is None:
            continue
        expected = raws.get(known.name)
        if raw is not None and known.base_type is FLOAT32:
            if not isinstance(raw, float):
                # The file has two descriptions of this field, and they disagree.
                raise ProofFailed(f"Weigh-in {number} does not hold {known.name} as float32.")
            (raw,) = struct.unpack("<I", struct.pack("<f", raw))
        if raw != expected:
            raise ProofFailed(f"Weigh-in {number} does not hold the expected {known.name}.")


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
    head, record, floats = _own_bytes(template)
    if not head.are_in(content[: template.record_start]):
        raise ProofFailed("A byte before the weigh-in is not the template's.")
    for index in range(readings):
        start = template.record_start + index * size
        if not record.are_in(content[start : start + size]):
            raise ProofFailed(f"A byte of weigh-in {index + 1} that is not a value is not the template's.")
        for at in floats:
            # Every NaN decodes to "not measured"; encoders write only these two.
            (raw,) = struct.unpack_from(template.byte_order + "I", content, start + at)
            (number,) = struct.unpack_from(template.byte_order + "f", content, start + at)
            if math.isnan(number) and raw not in (FLOAT32.invalid, JAVA_NAN):
                raise ProofFailed(f"A developer field of weigh-in {index + 1} is neither a number nor empty.")
    if content[template.record_end + growth : -2] != own[template.record_end : -2]:
        raise ProofFailed("A byte after the weigh-in is not the template's.")


class _Own(NamedTuple):
    """Bytes of the template that no reading changes, as an integer, and a mask that leaves out those in between."""

    value: int
    mask: int

    def are_in(self, content: bytes) -> bool:
        return int.from_bytes(content) & self.mask == self.value


@lru_cache(maxsize=8)
def _own_bytes(template: Template) -> tuple[_Own, _Own, tuple[int, ...]]:
    """Those before the first weigh-in and those within one, and where floats start in one."""
    written = [(4, 8), (12, template.header_size)]
    if template.time_created:
        written.append((template.time_created[0], template.time_created[0] + 4))
    slots = [(slot.start, slot.start + slot.base_type.size) for slot in template.slots]
    return (
        _own(template.content[: template.record_start], written),
        _own(template.content[template.record_start : template.record_end], slots),
        tuple(slot.start for slot in template.slots if slot.base_type is FLOAT32),
    )


def _own(content: bytes, written: Sequence[tuple[int, int]]) -> _Own:
    mask = bytearray(b"\xff" * len(content))
    for start, end in written:
        mask[start:end] = bytes(end - start)
    return _Own(int.from_bytes(content) & int.from_bytes(mask), int.from_bytes(mask))


def _prove_time_created(content: bytes, template: Template, raws: RawFields) -> None:
    if template.time_created:
        at, byte_order = template.time_created
        if struct.unpack_from(byte_order + "I", content, at) != (raws["timestamp"],):
            raise ProofFailed("The file's time_created is not the first reading's instant.")
