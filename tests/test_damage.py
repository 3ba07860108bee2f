"""Damage: whatever happens to a byte of a proven file, the proof refuses it."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
from fastcrc.crc16 import arc

from tests.golden import GOLDEN
from weighbridge.errors import ProofFailed
from weighbridge.fit.encode import encode
from weighbridge.fit.patch import patch
from weighbridge.fit.template import read_template
from weighbridge.fit.verify import verify
from weighbridge.resources import TEMPLATES

NAMES = ("weight_scale", "weight_scale_developer")
FILES = {name: read_template((TEMPLATES / f"{name}.fit").read_bytes()) for name in NAMES}
ROWS = [encode(GOLDEN[0].reading)]
#: Parts of the work, so that the tests run side by side.
PARTS = 4


def is_refused(content: bytes, name: str) -> bool:
    try:
        verify(content, FILES[name], ROWS)
    except ProofFailed as fault:
        # A place and a name may be told; what was measured may not.
        assert not re.search(r"81\.?4|8140|1820", str(fault))
        return True
    return False


@pytest.mark.parametrize("part", range(PARTS))
def test_every_byte_set_to_every_other_value_is_refused(part: int) -> None:
    assert survivors("weight_scale", range(1, 256), part, PARTS) == []


def test_every_byte_with_one_bit_or_all_of_them_flipped_is_refused_in_the_larger_template_too() -> None:
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
def test_a_file_cut_off_anywhere_is_refused(name: str) -> None:
    good = patch(FILES[name], ROWS)
    assert all(is_refused(good[:length], name) for length in range(len(good)))


@pytest.mark.parametrize("name", NAMES)
def test_a_file_with_anything_after_its_end_is_refused(name: str) -> None:
    good = patch(FILES[name], ROWS)
    assert all(is_refused(good + bytes([value]), name) for value in range(256))
    assert is_refused(good + good, name)


@pytest.mark.parametrize("name", NAMES)
def test_a_byte_left_out_or_doubled_is_refused(name: str) -> None:
    good = patch(FILES[name], ROWS)
    for position in range(len(good)):
        assert is_refused(good[:position] + good[position + 1 :], name)
        assert is_refused(good[:position] + good[position : position + 1] + good[position:], name)


@pytest.mark.parametrize("name", NAMES)
def test_damage_with_its_checksum_renewed_is_refused_too(name: str) -> None:
    """What a broken patcher would write: the CRCs fit, a byte does not."""
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
