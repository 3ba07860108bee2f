"""The shipped templates are what their definition says, and your own scale's file becomes one too."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from scripts.build_templates import SHIPPED
from tests.commands import run
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
from tests.outside import by_garmin_python
from weighbridge.errors import TemplateUnusable
from weighbridge.fit.template import read_template
from weighbridge.operate.template import from_scale, prove_usable
from weighbridge.resources import TEMPLATES


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_bytes_are_those_of_the_definition(name: str) -> None:
    assert (TEMPLATES / name).read_bytes() == SHIPPED[name]()


@pytest.mark.parametrize("name", SHIPPED)
def test_the_readme_of_the_templates_tells_every_byte(name: str) -> None:
    """The table's hex, put together in order, is the file."""
    text = (TEMPLATES / "README.md").read_text(encoding="utf-8")
    section = text[text.index(f"## `{name}`") + 3 :].split("\n## ")[0]
    documented = "".join(re.findall(r"^\| \d+ \| `([0-9a-f ]+)` \|", section, re.MULTILINE))
    assert bytes.fromhex(documented) == (TEMPLATES / name).read_bytes()


# --- a scale's own file ---

#: Bytes that must not be found in what is made of it.
PLANTED = b"\x61\x1e"  # 7777 = 77.77 kg
OWNER = b"Planted Owner"


def scale_file(order: str, *, weigh_ins: int = 200, junk: int = 0) -> bytes:
    weighing = weigh_in(order, records=weigh_ins)
    planted = struct.pack(order + "H", 0x1E61)
    fields = [(n, kind, planted if n == 0 else value) for n, kind, value in weighing.fields]
    return File(
        [
            file_id(order),
            Message(49, [(0, UINT16, struct.pack(order + "H", 1234))], local=2, order=order),  # file_creator
            Message(23, [(253, UINT32, b"\0" * 4), (3, 0x8C, b"\1\2\3\4")], local=3, order=order),  # device_info
            Message(3, [(0, STRING, OWNER + b"\0")], local=4, order=order),  # user_profile
            Message(20, [(0, BYTE, PLANTED * 100)], local=5, order=order, records=junk),  # record
            Message(30, [*fields, (99, BYTE, PLANTED)], local=1, order=order, records=weigh_ins),
        ]
    ).to_bytes()


@pytest.mark.parametrize("order", ["<", ">"], ids=["little-endian", "big-endian"])
def test_a_file_of_many_weigh_ins_becomes_a_template_of_one_with_its_identity(order: str) -> None:
    made = from_scale(scale_file(order))
    template = read_template(made)
    prove_usable(made)
    assert template.fields == {"timestamp", "weight", "percent_fat", "visceral_fat_rating"}
    assert template.byte_order == order
    assert struct.pack(order + "H", 255) in made, "the manufacturer"
    assert b"\1\2\3\4" in made, "the device's serial number"


def test_nothing_that_was_measured_and_nobody_name_is_left_in_it() -> None:
    source = scale_file("<")
    made = from_scale(source)
    assert PLANTED in source
    assert OWNER in source
    assert PLANTED not in made
    assert OWNER not in made


def test_a_file_of_two_megabytes_becomes_a_small_template() -> None:
    source = scale_file("<", junk=10_000)
    assert len(source) > 2_000_000
    assert len(from_scale(source)) < 300


def test_developer_fields_are_kept_with_their_descriptions() -> None:
    description = [
        (0, UINT8, b"\0"),
        (1, UINT8, b"\0"),
        (2, UINT8, bytes([FLOAT32])),
        (3, STRING, b"fat_mass\0"),
        (8, STRING, b"kg\0"),
    ]
    source = File(
        [
            file_id(),
            Message(DEVELOPER_DATA_ID, [(0, BYTE, bytes(range(16))), (3, UINT8, b"\0")], local=2),
            Message(FIELD_DESCRIPTION, description, local=3),
            weigh_in(developer=[(0, struct.pack("<f", 14.8), 0)], records=3),
        ]
    ).to_bytes()
    made = from_scale(source)
    assert "fat_mass" in read_template(made).fields
    assert struct.pack("<f", 14.8) not in made
    prove_usable(made)


def test_what_is_made_of_a_shipped_template_is_the_same_kind_of_file() -> None:
    for build in SHIPPED.values():
        assert read_template(from_scale(build())).fields == read_template(build()).fields


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"not FIT at all, but long enough", "not a FIT file"),
        (File([file_id()]).to_bytes(), "holds no weigh-in"),
        (File([file_id(), weigh_in(compressed_timestamp=True)]).to_bytes(), "holds no weigh-in"),
    ],
)
def test_a_file_that_cannot_become_one_is_refused(content: bytes, sentence: str) -> None:
    with pytest.raises(TemplateUnusable, match=sentence):
        from_scale(content)


def test_the_fullest_weigh_in_gives_the_form() -> None:
    poor = Message(30, [(253, UINT32, b"\0" * 4), (0, UINT16, b"\0" * 2)], local=1)
    no_weight = Message(30, [(253, UINT32, b"\0" * 4), *[(n, UINT16, b"\0" * 2) for n in range(1, 6)]], local=1)
    made = from_scale(File([file_id(), poor, no_weight, weigh_in(), poor]).to_bytes())
    assert read_template(made).fields == {"timestamp", "weight", "percent_fat", "visceral_fat_rating"}


def test_a_device_that_tells_itself_with_every_weigh_in_is_kept_once_and_without_its_instants() -> None:
    instant = struct.pack("<I", 1_111_111_111)
    device = [
        Message(23, [(253, UINT32, instant), (3, 0x8C, b"\1\2\3\4"), (11, UINT8, bytes([battery]))], local=3)
        for battery in range(200)
    ]
    source = File([file_id(), *device * 20, weigh_in(records=4000)]).to_bytes()
    made = from_scale(source)
    assert made.count(b"\1\2\3\4") == 1
    assert instant not in made
    assert len(made) < 200
    prove_usable(made)


def test_a_template_in_which_nothing_can_be_proven_is_refused() -> None:
    """fitdecode reads no developer field that nothing describes, so neither would the proof of any reading."""
    made = from_scale(File([file_id(), weigh_in(developer=[(0, b"\0" * 4, 0)])]).to_bytes())
    with pytest.raises(TemplateUnusable, match="No reading could be proven in this template"):
        prove_usable(made)


# --- the command ---


def template(*arguments: object) -> int:
    return run(["template", *map(str, arguments)], {})


def test_the_command_writes_a_template_and_says_how_to_use_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.fit").write_bytes(scale_file(">"))
    assert template("--from", tmp_path / "mine.fit", "-o", tmp_path / "made.fit") == 0
    shown = capsys.readouterr().out
    assert f"WEIGHBRIDGE_TEMPLATE={tmp_path / 'made.fit'}" in shown
    assert "percent_fat" in shown
    prove_usable((tmp_path / "made.fit").read_bytes())


def test_without_an_output_it_lies_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.fit").write_bytes(scale_file(">"))
    assert template("--from", "mine.fit") == 0
    prove_usable((tmp_path / "template_mine.fit").read_bytes())


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("missing.fit", None, "cannot be read: No such file"),
        ("text.fit", b"hello, this is not a FIT file", "not a FIT file"),
        ("other.fit", File([file_id(kind=4), weigh_in()]).to_bytes(), "not a weight file"),
    ],
)
def test_the_command_fails_with_one_sentence_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes | None, sentence: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert template("--from", tmp_path / name, "-o", tmp_path / "made.fit") == 1
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert not (tmp_path / "made.fit").exists()


def test_the_scale_own_file_is_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "mine.fit"
    mine.write_bytes(scale_file("<"))
    assert template("--from", mine, "-o", mine) == 1
    assert "choose another output" in capsys.readouterr().err
    assert mine.read_bytes() == scale_file("<")


def test_an_output_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.fit").write_bytes(scale_file("<"))
    assert template("--from", tmp_path / "mine.fit", "-o", tmp_path / "no" / "made.fit") == 1
    assert "cannot be written: No such file" in capsys.readouterr().err


def test_without_a_file_it_shows_what_the_template_in_use_takes(capsys: pytest.CaptureFixture[str]) -> None:
    assert template() == 0
    shown = capsys.readouterr().out
    assert "weight_scale.fit: 122 bytes" in shown
    assert "visceral_fat_rating" in shown


def test_garmin_own_decoder_reads_the_shipped_templates() -> None:
    for build in SHIPPED.values():
        (weigh_in,) = by_garmin_python(build())
        assert weigh_in.raw == {}
