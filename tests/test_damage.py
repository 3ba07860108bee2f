"""Damage: whatever happens to a byte of a proven file, the proof refuses the file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

import fitdecode
import pytest
from fastcrc.crc16 import arc
from fitdecode import CrcCheck, ErrorHandling

from tests.golden import GOLDEN
from weighbridge.errors import ProofFailed
from weighbridge.fit.encode import encode
from weighbridge.fit.patch import patch
from weighbridge.fit.template import read_template
from weighbridge.fit.verify import _Reader, verify
from weighbridge.resources import TEMPLATES

NAMES = ("weight_scale", "weight_scale_developer")
FILES = {name: read_template((TEMPLATES / f"{name}.fit").read_bytes()) for name in NAMES}
ROWS = [encode(GOLDEN[0].reading)]
#: Parts of the work, so that the tests run in parallel.
PARTS = 4


def is_refused(content: bytes, name: str) -> bool:
    try:
        verify(content, FILES[name], ROWS)
    except ProofFailed as fault:
        # The message may hold a place and a name, but no measurement.
        assert not re.search(r"81\.?4|8140|1820", str(fault))
        return True
    return False


@pytest.mark.parametrize("part", range(PARTS))
def test_any_changed_byte(part: int) -> None:
    """A proven file with any one byte changed to any other value is refused."""
    assert survivors("weight_scale", range(1, 256), part, PARTS) == []


def test_any_flipped_bit_in_the_larger_template() -> None:
    """In the larger template too, a byte with one bit or all bits flipped is refused."""
    assert survivors("weight_scale_developer", [1, 2, 4, 8, 16, 32, 64, 128, 255], 0, 1) == []


def survivors(name: str, flips: Iterable[int], part: int, parts: int) -> list[tuple[int, int]]:
    """The (position, flip) that the proof did not refuse."""
    good = patch(FILES[name], ROWS)
    verify(good, FILES[name], ROWS)
    return [
        (position, flip)
        for position in range(part, len(good), parts)
        for flip in flips
        if not is_refused(good[:position] + bytes([good[position] ^ flip]) + good[position + 1 :], name)
    ]


@pytest.mark.parametrize("name", NAMES)
def test_decoded_as_by_fitdecode(name: str) -> None:
    """Whole or damaged, a file decodes to what fitdecode by itself finds in it, or to the same fault."""
    good = patch(FILES[name], ROWS * 2)
    damaged = [
        good[:position] + bytes([good[position] ^ flip]) + good[position + 1 :]
        for position in range(len(good))
        for flip in (1, 16, 32, 128, 255)
    ]
    assert decoded(_Reader, good)
    for content in (good, good + good, *(good[:size] for size in range(len(good))), *damaged):
        assert decoded(_Reader, content) == decoded(fitdecode.FitReader, content)


def decoded(reader: Callable[..., fitdecode.FitReader], content: bytes) -> object:
    options = {} if reader is _Reader else OPTIONS
    found: list[object] = []
    try:
        for frame in reader(content, **options):
            found.append(frame.frame_type)
            if isinstance(frame, fitdecode.FitDataMessage):
                found += [(frame.def_mesg.global_mesg_num, frame.local_mesg_num)]
                # As text: two values that are not numbers are the same.
                found += map(repr, raw_values(frame))
            elif isinstance(frame, fitdecode.FitDefinitionMessage):
                found += [(each.def_num, each.name, each.base_type.name, each.size) for each in frame.all_field_defs]
    except Exception as e:
        return found, type(e).__name__
    return found


def raw_values(frame: fitdecode.FitDataMessage) -> Iterator[object]:
    """The values in a record, without a time that its header adds."""
    for field in frame.fields:
        if not isinstance(field, fitdecode.FieldData):
            yield field
        elif field.field_def:
            yield field.raw_value


OPTIONS = {"processor": None, "check_crc": CrcCheck.DISABLED, "error_handling": ErrorHandling.RAISE}


@pytest.mark.parametrize("name", NAMES)
def test_cut_off(name: str) -> None:
    """A file that is cut off at any byte is refused."""
    good = patch(FILES[name], ROWS)
    assert all(is_refused(good[:length], name) for length in range(len(good)))


@pytest.mark.parametrize("name", NAMES)
def test_trailing_bytes(name: str) -> None:
    """A file with anything after its end, a byte or a second file, is refused."""
    good = patch(FILES[name], ROWS)
    assert all(is_refused(good + bytes([value]), name) for value in range(256))
    assert is_refused(good + good, name)


@pytest.mark.parametrize("name", NAMES)
def test_missing_or_doubled_byte(name: str) -> None:
    """A file with one byte missing or doubled is refused."""
    good = patch(FILES[name], ROWS)
    for position in range(len(good)):
        assert is_refused(good[:position] + good[position + 1 :], name)
        assert is_refused(good[:position] + good[position : position + 1] + good[position:], name)


@pytest.mark.parametrize("name", NAMES)
def test_damage_with_a_valid_checksum(name: str) -> None:
    """Damage is refused even if the CRCs match, as a broken patcher would write it."""
    good = patch(FILES[name], ROWS)
    passed = []
    for position in range(len(good) - 2):
        for flip in (0x01, 0x80, 0xFF):
            body = bytearray(good[:-2])
            body[position] ^= flip
            if position < 12:
                body[12:14] = arc(bytes(body[:12])).to_bytes(2, "little")
            content = bytes(body) + arc(bytes(body)).to_bytes(2, "little")
            if not is_refused(content, name):
                passed.append(position)
    assert passed == []
