"""The shipped templates match their definition, and your own scale's file can become one."""

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
def test_shipped_bytes(name: str) -> None:
    """The bytes of each shipped template are those of its definition."""
    assert (TEMPLATES / name).read_bytes() == SHIPPED[name]()


@pytest.mark.parametrize("name", SHIPPED)
def test_readme_shows_every_byte(name: str) -> None:
    """The hex in the README's table, put together in order, is the file."""
    text = (TEMPLATES / "README.md").read_text(encoding="utf-8")
    section = text[text.index(f"## `{name}`") + 3 :].split("\n## ")[0]
    documented = "".join(re.findall(r"^\| \d+ \| `([0-9a-f ]+)` \|", section, re.MULTILINE))
    assert bytes.fromhex(documented) == (TEMPLATES / name).read_bytes()


# --- a scale's own file ---

#: Bytes that must not be in the template.
PLANTED = b"\x61\x1e"  # 7777 = 77.77 kg
OWNER = b"Planted Owner"


def scale_file(order: str, *, weigh_ins: int = 200, junk: int = 0) -> bytes:
    template_weigh_in = weigh_in(order, records=weigh_ins)
    planted = struct.pack(order + "H", 0x1E61)
    fields = [(n, kind, planted if n == 0 else value) for n, kind, value in template_weigh_in.fields]
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
def test_identity_and_one_weigh_in(order: str) -> None:
    """A file with many weigh-ins becomes a template with one, and with the device's identity."""
    made = from_scale(scale_file(order))
    template = read_template(made)
    prove_usable(made)
    assert template.fields == {"timestamp", "weight", "percent_fat", "visceral_fat_rating"}
    assert template.byte_order == order
    assert struct.pack(order + "H", 255) in made, "the manufacturer"
    assert b"\1\2\3\4" in made, "the device's serial number"


def test_nothing_personal_left() -> None:
    """No measurement and no name is left in the template."""
    source = scale_file("<")
    made = from_scale(source)
    assert PLANTED in source
    assert OWNER in source
    assert PLANTED not in made
    assert OWNER not in made


def test_large_file() -> None:
    """A file of two megabytes becomes a small template."""
    source = scale_file("<", junk=10_000)
    assert len(source) > 2_000_000
    assert len(from_scale(source)) < 300


def test_developer_fields() -> None:
    """Developer fields are kept with their descriptions."""
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


def test_from_a_shipped_template() -> None:
    """A template made from a shipped template takes the same values."""
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
def test_unusable_file(content: bytes, sentence: str) -> None:
    """A file without a usable weigh-in is refused."""
    with pytest.raises(TemplateUnusable, match=sentence):
        from_scale(content)


def test_weigh_in_with_most_fields() -> None:
    """The weigh-in with the most fields becomes the empty one."""
    poor = Message(30, [(253, UINT32, b"\0" * 4), (0, UINT16, b"\0" * 2)], local=1)
    no_weight = Message(30, [(253, UINT32, b"\0" * 4), *[(n, UINT16, b"\0" * 2) for n in range(1, 6)]], local=1)
    made = from_scale(File([file_id(), poor, no_weight, weigh_in(), poor]).to_bytes())
    assert read_template(made).fields == {"timestamp", "weight", "percent_fat", "visceral_fat_rating"}


def test_repeated_device() -> None:
    """A device that is repeated with every weigh-in is kept once, without times."""
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


def test_unprovable_template() -> None:
    """A template in which no reading can be proven is refused: fitdecode cannot read an undescribed developer field."""
    made = from_scale(File([file_id(), weigh_in(developer=[(0, b"\0" * 4, 0)])]).to_bytes())
    with pytest.raises(TemplateUnusable, match="No reading could be proven in this template"):
        prove_usable(made)


# --- the command ---


def template(*arguments: object) -> int:
    return run(["template", *map(str, arguments)], {})


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command writes a template, and prints how to use it."""
    (tmp_path / "mine.fit").write_bytes(scale_file(">"))
    assert template("--from", tmp_path / "mine.fit", "-o", tmp_path / "made.fit") == 0
    shown = capsys.readouterr().out
    assert f"WEIGHBRIDGE_TEMPLATE={tmp_path / 'made.fit'}" in shown
    assert "percent_fat" in shown
    prove_usable((tmp_path / "made.fit").read_bytes())


def test_default_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without -o the template is written to the working folder."""
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
def test_command_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes | None, sentence: str
) -> None:
    """The command fails with one sentence, and writes nothing."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert template("--from", tmp_path / name, "-o", tmp_path / "made.fit") == 1
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert not (tmp_path / "made.fit").exists()


def test_source_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The scale's own file is never overwritten."""
    mine = tmp_path / "mine.fit"
    mine.write_bytes(scale_file("<"))
    assert template("--from", mine, "-o", mine) == 1
    assert "Choose another output" in capsys.readouterr().err
    assert mine.read_bytes() == scale_file("<")


def test_unwritable_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An output that cannot be written is reported."""
    (tmp_path / "mine.fit").write_bytes(scale_file("<"))
    assert template("--from", tmp_path / "mine.fit", "-o", tmp_path / "no" / "made.fit") == 1
    assert "cannot be written: No such file" in capsys.readouterr().err


def test_show_current_template(capsys: pytest.CaptureFixture[str]) -> None:
    """Without --from the values of the current template are shown."""
    assert template() == 0
    shown = capsys.readouterr().out
    assert "weight_scale.fit: 122 bytes" in shown
    assert "visceral_fat_rating" in shown


def test_garmin_decoder() -> None:
    """Garmin's own decoder reads the shipped templates."""
    for build in SHIPPED.values():
        (weigh_in,) = by_garmin_python(build())
        assert weigh_in.raw == {}
