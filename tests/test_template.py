"""Any valid scale file is a template; anything else is refused with the reason."""

from __future__ import annotations

import datetime as dt
import itertools
import struct
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from fastcrc.crc16 import arc
from garmin_fit_sdk import Encoder
from hypothesis import given
from hypothesis import strategies as st

from tests.fit_builder import (
    BYTE,
    DEVELOPER_DATA_ID,
    FIELD_DESCRIPTION,
    FLOAT32,
    STRING,
    UINT8,
    UINT16,
    UINT32,
    File,
    Message,
    file_id,
    weigh_in,
)
from tests.golden import GOLDEN, INSTANT
from tests.outside import by_fitdecode
from tests.values import Values
from weighbridge.errors import TemplateUnusable
from weighbridge.fit.encode import encode
from weighbridge.fit.patch import patch
from weighbridge.fit.profile import FIELDS, WEIGHT_SCALE
from weighbridge.fit.template import LARGEST_TEMPLATE_BYTES, read_template
from weighbridge.fit.verify import verify
from weighbridge.pipeline import prove, rehearse

SHIPPED = Path(__file__).parent.parent / "templates"
NAMES = ("weight_scale", "weight_scale_developer")
#: Of a byte: each bit, and all but the first, and all.
FLIPS = (1, 2, 4, 8, 16, 32, 64, 128, 0x7F, 0xFF)

each_shipped = pytest.mark.parametrize("name", NAMES)

# --- what is taken ---

ORDERS = st.sampled_from("<>")


@st.composite
def other_messages(draw: st.DrawFn) -> Message:
    """Any other message a device may write: known, unknown, with odd fields, with a compressed timestamp."""
    # 49 file_creator, 23 device_info, 65280 up: manufacturers' own
    number = draw(st.sampled_from([49, 23, 65_280, 65_300]))
    sizes = draw(st.lists(st.integers(1, 6), max_size=4))
    fields = [(200 + index, BYTE, draw(st.binary(min_size=size, max_size=size))) for index, size in enumerate(sizes)]
    compressed = draw(st.booleans())
    local = draw(st.integers(0, 3 if compressed else 15))
    records = draw(st.integers(0, 3))
    return Message(number, fields, (), local, draw(ORDERS), records, compressed)


@st.composite
def scale_files(draw: st.DrawFn) -> bytes:
    order = draw(ORDERS)
    numbers = draw(st.permutations([field for field in WEIGHT_SCALE if field.name not in ("timestamp", "weight")]))
    fields = [*numbers[: draw(st.integers(0, len(numbers)))], FIELDS["timestamp"], FIELDS["weight"]]
    places = [(f.number, f.base_type.number, b"\xff" * f.base_type.size) for f in draw(st.permutations(fields))]
    if draw(st.booleans()):
        places.insert(draw(st.integers(0, len(places))), (99, BYTE, b"\x01\x02\x03"))
    before, after = draw(st.lists(other_messages(), max_size=3)), draw(st.lists(other_messages(), max_size=3))
    weigh_in_message = Message(30, places, local=draw(st.integers(0, 15)), order=order)
    header_size = draw(st.sampled_from([12, 14]))
    messages = [file_id(draw(ORDERS), with_time=draw(st.booleans())), *before, weigh_in_message, *after]
    return File(messages, header_size, header_crc=draw(st.booleans())).to_bytes()


def raw_values() -> st.SearchStrategy[dict[str, int]]:
    optional = {
        field.name: st.integers(0, field.base_type.invalid - 2)
        for field in WEIGHT_SCALE
        if field.source and field.name not in ("timestamp", "weight")
    }
    needed = {"timestamp": st.integers(1, 2**32 - 2), "weight": st.integers(1, 65_533)}
    return st.fixed_dictionaries(needed, optional=optional)


@given(content=scale_files(), rows=st.lists(raw_values(), min_size=1, max_size=4))
def test_any_valid_file_is_a_template(content: bytes, rows: list[dict[str, int]]) -> None:
    """Any valid scale file is a template, and any values in it are proven."""
    template = read_template(content)
    rows = [{name: raw for name, raw in row.items() if name in template.fields} for row in rows]
    made = verify(patch(template, rows), template, rows).content
    assert [weigh_in.raw for weigh_in in by_fitdecode(made)] == [
        row | unknown for row, unknown in zip(rows, unknowns(content) * len(rows), strict=True)
    ]


def unknowns(content: bytes) -> list[dict[str, object]]:
    """What the weigh-in of the template holds outside the slots."""
    (weigh_in,) = by_fitdecode(content)
    return [{name: raw for name, raw in weigh_in.raw.items() if name.startswith("unknown")}]


@given(content=scale_files(), raws=raw_values())
def test_patch_changes_only_slots(content: bytes, raws: dict[str, int]) -> None:
    """`patch` changes only the slots, time_created and the checksums."""
    template = read_template(content)
    made = patch(template, [raws])
    allowed = {*range(12, template.header_size), len(made) - 1, len(made) - 2}
    if template.time_created:
        allowed |= set(range(template.time_created[0], template.time_created[0] + 4))
    for slot in template.slots:
        allowed |= {template.record_start + slot.start + i for i in range(slot.base_type.size)}
    assert {i for i, (new, old) in enumerate(zip(made, content, strict=True)) if new != old} <= allowed


@given(content=st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    """Random bytes are refused with a reason."""
    with pytest.raises(TemplateUnusable, match=r"\w"):
        read_template(content)


@each_shipped
def test_any_changed_byte(name: str) -> None:
    """A template with any one byte changed to any other value is refused."""
    content = bytearray((SHIPPED / f"{name}.fit").read_bytes())
    for position in range(len(content)):
        for _ in range(255):
            content[position] = (content[position] + 1) % 256
            with pytest.raises(TemplateUnusable):
                read_template(bytes(content))
        content[position] = (content[position] + 1) % 256
    read_template(bytes(content))


@each_shipped
def test_any_changed_byte_with_valid_checksums(name: str) -> None:
    """With valid checksums, too, a changed template is refused, or readings in it are proven."""
    content = (SHIPPED / f"{name}.fit").read_bytes()[:-2]
    taken = 0
    for position in range(len(content)):
        for flip in FLIPS:
            changed = bytearray(content)
            changed[position] ^= flip
            if position < 12:
                changed[12:14] = struct.pack("<H", arc(bytes(changed[:12])))
            taken += is_template(bytes(changed) + struct.pack("<H", arc(bytes(changed))))
    assert 0 < taken < len(content) * len(FLIPS)


def test_any_part_missing_or_doubled() -> None:
    """A template with any part missing or doubled, and valid checksums, is refused, or readings in it are proven."""
    data = (SHIPPED / "weight_scale.fit").read_bytes()[14:-2]
    for start, end in itertools.combinations(range(len(data) + 1), 2):
        for changed in (data[:start] + data[end:], data[:end] + data[start:]):
            head = struct.pack("<BBHI4sH", 14, 0x20, 2132, len(changed), b".FIT", 0)
            is_template(head + changed + struct.pack("<H", arc(head + changed)))


def is_template(content: bytes) -> bool:
    """Whether the bytes are a template. Then every golden reading in it is proven."""
    try:
        template = read_template(content)
        rehearse(template)
    except TemplateUnusable as fault:
        assert str(fault)
        return False
    prove(template, [encode(golden.reading) for golden in GOLDEN])
    return True


@given(changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=8), header=st.booleans())
def test_hostile_definitions(changes: list[tuple[int, int]], header: bool) -> None:
    """A file with valid checksums and wrong sizes, numbers and counts is refused, or readings in it are proven."""
    data = bytearray((SHIPPED / "weight_scale_developer.fit").read_bytes()[14:-2])
    for position, value in changes:
        data[position % len(data)] = value
    head = struct.pack("<BBHI4s", 14, 0x20, 2132, len(data), b".FIT")
    head += struct.pack("<H", arc(head) if header else 0)
    content = head + bytes(data)
    is_template(content + struct.pack("<H", arc(content)))


def test_second_description_of_a_field() -> None:
    """A developer field that is described again after the weigh-in is refused by `rehearse`."""
    file, owner, description, weigh_in_message = developer_weigh_in(UINT32, 4)
    second_description = developer_weigh_in(FLOAT32, 4)[2]
    with pytest.raises(TemplateUnusable, match="does not hold fat_mass as float32"):
        rehearse(read_template(File([file, owner, description, weigh_in_message, second_description]).to_bytes()))


def test_big_endian() -> None:
    """A big-endian file is patched in its own byte order."""
    template = read_template(File([file_id(">"), weigh_in(">")]).to_bytes())
    rows = [encode(GOLDEN[0].reading)]
    made = verify(patch(template, rows), template, rows).content
    assert by_fitdecode(made)[0].raw["weight"] == 8140
    assert struct.pack(">H", 8140) in made


def test_file_of_garmin_encoder() -> None:
    """A file from Garmin's own encoder is a template."""
    encoder = Encoder()
    now = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
    encoder.on_mesg(0, {"type": "weight", "manufacturer": 1, "product": 2429, "time_created": now})
    encoder.on_mesg(30, {"timestamp": now, "weight": 70.0, "percent_fat": 20.0})
    template = read_template(encoder.close())
    assert template.fields == {"timestamp", "weight", "percent_fat"}
    rows = [encode(GOLDEN[0].reading)]
    assert by_fitdecode(verify(patch(template, rows), template, rows).content)[0].raw["percent_fat"] == 1820


def test_developer_fields_by_description() -> None:
    """Developer fields are found by their description."""
    template = read_template((SHIPPED / "weight_scale_developer.fit").read_bytes())
    values = Values(measured_at=INSTANT, weight_kg=Decimal(80), fat_mass_kg=Decimal("14.805"))
    rows = [encode(values)]
    (decoded,) = by_fitdecode(verify(patch(template, rows), template, rows).content)
    assert decoded.developer == {"fat_mass": pytest.approx(14.81, abs=1e-6)}


# --- what is refused, and why ---

GOOD = [file_id(), weigh_in()]


def developer_weigh_in(kind: int, size: int) -> list[Message]:
    description = [(0, UINT8, b"\0"), (1, UINT8, b"\0"), (2, UINT8, bytes([kind])), (3, STRING, b"fat_mass\0")]
    return [
        file_id(),
        Message(DEVELOPER_DATA_ID, [(3, UINT8, b"\0")], local=2),
        Message(FIELD_DESCRIPTION, description, local=3),
        weigh_in(developer=[(0, b"\xff" * size, 0)]),
    ]


def flipped(position: int) -> bytes:
    content = bytearray(File(GOOD).to_bytes())
    content[position] ^= 0xFF
    return bytes(content)


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "not a FIT file"),
    "text": (lambda: b"weight=81.4 kg and more", "not a FIT file"),
    "no weigh-in": (lambda: File([file_id()]).to_bytes(), "holds 0 weigh-ins"),
    "two weigh-ins": (lambda: File([file_id(), weigh_in(records=2)]).to_bytes(), "holds 2 weigh-ins"),
    "compressed timestamp": (
        lambda: File([file_id(), weigh_in(compressed_timestamp=True)]).to_bytes(),
        "compressed timestamp",
    ),
    "no timestamp": (lambda: File([file_id(), weigh_in(without=[253])]).to_bytes(), "no timestamp field"),
    "no weight": (lambda: File([file_id(), weigh_in(without=[0])]).to_bytes(), "no weight field"),
    "weight as uint8": (
        lambda: File([file_id(), Message(30, [(253, 0x86, b"\0" * 4), (0, UINT8, b"\0")], local=1)]).to_bytes(),
        "weight of the weigh-in .* uint16 with 2 bytes was expected",
    ),
    "weight as two numbers": (
        lambda: File([file_id(), Message(30, [(253, 0x86, b"\0" * 4), (0, UINT16, b"\0" * 4)], local=1)]).to_bytes(),
        "uint16 with 2 bytes was expected",
    ),
    "a field twice": (
        lambda: File([file_id(), Message(30, [*weigh_in().fields, (0, UINT16, b"\0\0")], local=1)]).to_bytes(),
        "a field twice",
    ),
    "developer field of another type": (lambda: File(developer_weigh_in(UINT16, 2)).to_bytes(), "float32 with 4 bytes"),
    "an activity": (lambda: File([file_id(kind=4), weigh_in()]).to_bytes(), "not a weight file"),
    "no file_id": (lambda: File([weigh_in()]).to_bytes(), "0 file_id messages"),
    "two file_ids": (lambda: File([file_id(), file_id(), weigh_in()]).to_bytes(), "2 file_id messages"),
    "header of another size": (lambda: b"\x10" + File(GOOD).to_bytes()[1:], "header has 16 bytes"),
    "header damaged": (lambda: flipped(2), "header is damaged"),
    "data damaged": (lambda: flipped(40), "file is damaged: its CRC"),
    "cut off": (lambda: File(GOOD).to_bytes()[:-1], "cut off"),
    "junk after": (lambda: File(GOOD, after=b"junk").to_bytes(), "something after its end"),
    "chained": (lambda: File(GOOD).to_bytes() * 2, "a second file"),
    "undefined local type": (lambda: File([file_id(), weigh_in(define=False)]).to_bytes(), "which nothing defines"),
    "definition cut off": (
        lambda: cut_definition(),
        "definition at byte .* cut off",
    ),
    "architecture": (lambda: wrong_architecture(), "architecture 7"),
    "too large": (
        lambda: File([*GOOD, Message(65_280, [(0, BYTE, bytes(250))], local=2, records=300)]).to_bytes(),
        f"at most {LARGEST_TEMPLATE_BYTES}",
    ),
}


class Raw(Message):
    """Any bytes in place of a message."""

    def __init__(self, content: bytes) -> None:
        super().__init__(0, [])
        self.content = content

    def to_bytes(self) -> bytes:
        return self.content


def cut_definition() -> bytes:
    return File([*GOOD, Raw(b"\x42\0\0\x31\0\x09\x01\x02")]).to_bytes()


def wrong_architecture() -> bytes:
    return File([*GOOD, Raw(b"\x42\0\x07\x31\0\0")]).to_bytes()


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_the_reason(name: str) -> None:
    """A file that cannot be a template is refused, and the message says why."""
    make, sentence = REFUSED[name]
    with pytest.raises(TemplateUnusable, match=sentence):
        read_template(make())


def test_record_beyond_the_end() -> None:
    """A record that reaches beyond the end of the data is refused."""
    with pytest.raises(TemplateUnusable, match="cut off by the end"):
        read_template(File([*GOOD, Raw(b"\x00\x09")]).to_bytes())
