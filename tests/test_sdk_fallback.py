"""Garmin's FitCSVTool agrees with our encoding, catches every broken encoder, and is never trusted blindly.

The real tool runs here. Without Java or the jar, these tests are skipped; if CI is set, they fail.
"""

from __future__ import annotations

import json
import os
import random
import struct
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from fastcrc.crc16 import arc as crc16

from sdk_fallback.canonical import canonical
from sdk_fallback.cli import AGREES, DIFFERS, NOT_COMPARED, SKIPPED, UNUSABLE
from sdk_fallback.crosscheck import Case, cross_check, encode_by_garmin
from sdk_fallback.errors import RunFailed, RunnerUnusable
from sdk_fallback.fitcsvtool import checked_output, decode_command, encode_command, read_csv, write_csv
from sdk_fallback.report import case_of
from sdk_fallback.runners.local_java import LocalJava, local_java
from tests.fit_builder import ENUM, UINT8, UINT16, UINT32, UINT32Z, File, Message, file_id, weigh_in
from tests.golden import GOLDEN, INSTANT
from tests.outside import by_fitdecode
from tests.sdk_command import sdk
from tests.skips import java, older_jar
from tests.values import Values
from weighbridge.fit.encode import encode
from weighbridge.fit.patch import READINGS_PER_FILE, patch
from weighbridge.fit.profile import DEVELOPER, WEIGHT_SCALE
from weighbridge.fit.template import read_template
from weighbridge.reading.measures import MEASURES
from weighbridge.reading.reading import Reading
from weighbridge.resources import TEMPLATES

ROOT = Path(__file__).parent.parent
PLAIN, DEVELOPERS = ((TEMPLATES / f"{name}.fit").read_bytes() for name in ("weight_scale", "weight_scale_developer"))


@pytest.fixture(scope="session")
def runner() -> LocalJava:
    return java()


# --- it agrees ---


def test_all_tools_agree(runner: LocalJava) -> None:
    """Every tool agrees on every golden reading, in both templates."""
    done = sdk(["verify", "--json"], environment_of(runner))
    assert done.exit_code == AGREES, done.stdout
    result = json.loads(done.stdout)
    assert (result["agrees"], result["machine"], result["differences"]) == (True, "the local Java", [])
    assert [section["template"] for section in result["templates"]] == ["weight_scale", "weight_scale_developer"]
    names = ["FitCSVTool reads", "FitCSVTool writes", "fitdecode", "garmin-fit-sdk", "@garmin/fitsdk"]
    everything = {golden.name: "agrees" for golden in GOLDEN}
    for section in result["templates"]:
        assert section["witnesses"] == [{"name": name, "readings": everything} for name in names]


def test_docs_show_the_real_table(runner: LocalJava) -> None:
    """The end of the table in the documents is the end of the real output."""
    lines = sdk(["verify"], environment_of(runner)).stdout.splitlines()
    titles = [line for line in lines if line.startswith("reading ")][-1]
    assert "\n".join([titles, "…", *lines[-9:]]) in (ROOT / "docs" / "reference" / "cross-check.md").read_text(
        encoding="utf-8"
    )


def generated(count: int) -> list[Values]:
    """Generated readings, always the same: boundaries, ties, each optional value present and absent."""
    chance = random.Random(20261122)
    sources = [field.source for field in (*WEIGHT_SCALE, *DEVELOPER) if field.source and field.name != "timestamp"]
    optional = [source for source in sources if source != "weight_kg"]
    readings = []
    for number in range(count):
        left_out = set(chance.sample(optional, number % (len(optional) + 1)))
        values = {
            source: number_within(chance, MEASURES[source].minimum, MEASURES[source].maximum)
            for source in sources
            if source not in left_out
        }
        readings.append(Values(measured_at=INSTANT - timedelta(minutes=count - number), **values))
    return readings


def number_within(chance: random.Random, least: Decimal, most: Decimal) -> Decimal:
    steps = int((most - least) * 100)
    hundredths = least + Decimal(chance.randint(0, steps)) / 100
    tie = min(hundredths + Decimal("0.005"), most)
    return chance.choice([least, most, hundredths, hundredths, tie])


def test_thousand_generated_readings(runner: LocalJava) -> None:
    """Garmin's tool agrees on 1000 generated readings in the larger template, and on 200 of them in the other."""
    readings = generated(1000)
    parcels = [(DEVELOPERS, readings[start : start + READINGS_PER_FILE]) for start in range(0, 1000, READINGS_PER_FILE)]
    parcels.append((PLAIN, readings[:READINGS_PER_FILE]))
    cases = [Case(patch(read_template(made), [encode(r) for r in some]), made, some) for made, some in parcels]
    assert [checked.reading + checked.writing for checked in cross_check(runner, cases)] == [[]] * 6


def test_every_hundredth_and_tie(runner: LocalJava) -> None:
    """Every hundredth of a kilogram, and every tie between two, is encoded as Garmin's tool does."""
    weights = [Decimal(2) + n * Decimal("0.005") for n in range(200)]
    readings = [Values(measured_at=INSTANT + timedelta(minutes=n), weight_kg=w) for n, w in enumerate(weights)]
    content = patch(read_template(PLAIN), [encode(reading) for reading in readings])
    (checked,) = cross_check(runner, [Case(content, PLAIN, readings)])
    assert checked.agrees


# --- it catches broken encoders ---


def resealed(content: bytes) -> bytes:
    header = content[:12] + crc16(content[:12]).to_bytes(2, "little")
    body = header + content[14:-2]
    return body + crc16(body).to_bytes(2, "little")


BEST = next(golden for golden in GOLDEN if golden.name == "every value that a scale can measure").reading
ALONE = next(golden for golden in GOLDEN if golden.name.startswith("64.6 kg")).reading


def right(reading: Reading) -> bytes:
    return patch(read_template(PLAIN), [encode(reading)])


def with_raws(reading: Reading, **raws: int) -> bytes:
    return patch(read_template(PLAIN), [{**encode(reading), **raws}])


def bone_mass_in_another_field(reading: Reading) -> bytes:
    """The definition calls field 4 (bone mass) 6, which the profile does not have."""
    content = bytearray(right(reading))
    at = content.index(bytes([4, 2, 0x84]), content.index(bytes([0, 2, 0x84, 1, 2, 0x84])))
    content[at] = 6
    return resealed(bytes(content))


def visceral_fat_in_the_mass_field(reading: Reading) -> bytes:
    raws = {name: raw for name, raw in encode(reading).items() if name != "visceral_fat_rating"}
    return patch(read_template(PLAIN), [{**raws, "visceral_fat_mass": 700}])


def damaged(content: bytes, at: int) -> bytes:
    changed = bytearray(content)
    changed[at] ^= 1
    return bytes(changed)


def header_damaged(content: bytes) -> bytes:
    """A wrong header CRC with a correct file CRC: FitCSVTool does not notice it."""
    body = damaged(content, 12)[:-2]
    return body + crc16(body).to_bytes(2, "little")


AN_HOUR_ON = encode(ALONE)["timestamp"] + 3600
SWAPPED = struct.unpack("<H", struct.pack(">H", 6460))[0]
BROKEN: dict[str, tuple[Callable[[], bytes], Reading, str]] = {
    "truncation instead of rounding": (lambda: with_raws(ALONE, weight=6459), ALONE, "weight"),
    "double scaling": (lambda: with_raws(BEST, bmi=2465), BEST, "bmi"),
    "a field number that does not exist": (lambda: bone_mass_in_another_field(BEST), BEST, "bone_mass"),
    "a wrong field": (lambda: visceral_fat_in_the_mass_field(BEST), BEST, "visceral_fat_mass"),
    "little and big-endian mixed up": (lambda: with_raws(ALONE, weight=SWAPPED), ALONE, "weight"),
    "time in the local zone": (lambda: with_raws(ALONE, timestamp=AN_HOUR_ON), ALONE, "timestamp"),
    "a missing field sent as 0": (lambda: with_raws(ALONE, bone_mass=0), ALONE, "bone_mass"),
    "a rating rounded down": (lambda: with_raws(BEST, visceral_fat_rating=6), BEST, "visceral_fat_rating"),
    "a damaged CRC": (lambda: damaged(right(ALONE), -1), ALONE, "the file"),
    "a damaged header CRC": (lambda: header_damaged(right(ALONE)), ALONE, "the file"),
    "a damaged value": (lambda: damaged(right(ALONE), -12), ALONE, "the file"),
}


def test_broken_encoders_are_caught(runner: LocalJava) -> None:
    """An encoder that is broken in any known way is caught, and the broken field is named."""
    cases = [Case(make(), PLAIN, [reading]) for make, reading, _ in BROKEN.values()]
    for (name, (_, _, where)), checked in zip(BROKEN.items(), cross_check(runner, cases), strict=True):
        differences = checked.reading + checked.writing
        assert any(where in difference.where for difference in differences), (name, differences)


def test_wrong_value_found_by_writing_only(runner: LocalJava) -> None:
    """A wrong value that both sides read back alike is found only by the writing way."""
    (checked,) = cross_check(runner, [Case(with_raws(ALONE, weight=6459), PLAIN, [ALONE])])
    assert checked.reading == []
    assert [str(d) for d in checked.writing] == ["weigh-in 1, weight: ours 64.59, theirs 64.6"]


# --- it is never trusted blindly ---


def test_exit_code_0_is_not_trusted(runner: LocalJava) -> None:
    """The tool exits with 0 whatever happened, so the exit code alone is not trusted."""
    good = right(ALONE)
    files = {
        "cut.fit": good[:-20],
        "flipped.fit": damaged(good, 40),
        "junk.fit": good + b"junk",
        "garbage.csv": b"this,is,no,weigh-in\n",
        "empty.csv": b"",
        "good.fit": good,
    }
    commands = {
        "cut.csv": decode_command("cut.fit", "cut.csv"),
        "flipped.csv": decode_command("flipped.fit", "flipped.csv"),
        "junk.csv": decode_command("junk.fit", "junk.csv"),
        "absent.csv": decode_command("absent.fit", "absent.csv"),
        "garbage.fit": encode_command("garbage.csv", "garbage.fit"),
        "empty.fit": encode_command("empty.csv", "empty.fit"),
        "good.csv": decode_command("good.fit", "good.csv"),
    }
    ran = runner.run(files, list(commands.values()))
    assert [outcome.exit_code for outcome in ran.outcomes] == [0] * 7
    for number, file in enumerate(list(commands)[:-1]):
        with pytest.raises(RunFailed):
            checked_output(ran, number, file)
    assert read_csv(checked_output(ran, 6, "good.csv"))


# --- what the tool does not know, it cannot judge ---


def as_withings_sync(*, field_8: bytes = b"\xff\xff\xff\xff", weight: int = 8140) -> bytes:
    """A file as withings-sync and garminconnect write it: file_creator, device_info with an undocumented field 8."""
    when, none_2, none_4 = struct.pack("<I", 1_164_090_672), b"\xff\xff", b"\xff\xff\xff\xff"
    ids = [(3, UINT32Z, b"\0" * 4), (4, UINT32, when), (1, UINT16, b"\xff\0"), (2, UINT16, none_2)]
    device = [(253, UINT32, when), (3, UINT32Z, b"\0" * 4), (7, UINT32, none_4), (8, UINT32, field_8)]
    device += [(2, UINT16, b"\xff\0"), (4, UINT16, none_2), (5, UINT16, none_2), (10, UINT16, none_2)]
    device += [(number, UINT8, b"\xff") for number in (0, 1, 6, 11)]
    values = {0: weight, 1: 1820, 2: 0xFFFF, 3: 0xFFFF, 4: 340, 5: 6320, 7: 0xFFFF, 9: 0xFFFF, 13: 247}
    scale = [(253, UINT32, when), *((n, UINT16, struct.pack("<H", v)) for n, v in values.items())]
    scale += [(number, UINT8, b"\xff") for number in (8, 10, 11)]
    return File(
        [
            Message(0, [*ids, (5, UINT16, none_2), (0, ENUM, b"\x09")]),
            Message(49, [(0, UINT16, none_2), (1, UINT8, b"\xff")], local=1),
            Message(23, device, local=2),
            Message(30, scale, local=3),
        ]
    ).to_bytes()


def test_undocumented_field(runner: LocalJava, tmp_path: Path) -> None:
    """An undocumented field is "cannot be compared" with an exit code of its own, whether it has a value or not."""
    for number, content in enumerate([as_withings_sync(), as_withings_sync(field_8=b"\5\0\0\0")]):
        (tmp_path / f"{number}.fit").write_bytes(content)
        done = sdk(["verify", str(tmp_path / f"{number}.fit")], environment_of(runner))
        assert done.exit_code == NOT_COMPARED
        assert done.stdout.splitlines() == [
            "Cannot be compared: device_info: field 8. Garmin's profile does not document it.",
            "The rest agrees.",
        ]


def test_undocumented_message(runner: LocalJava) -> None:
    """An undocumented message is named by its number, and the rest is compared."""
    strange = Message(0xFF00, [(1, UINT32, b"\1\2\3\4")], local=2)
    (checked,) = cross_check(runner, [Case(File([file_id(), strange, weigh_in()]).to_bytes())])
    assert (checked.reading, checked.writing, checked.not_compared) == ([], [], ["message 65280"])
    assert not checked.agrees


def test_difference_beside_undocumented(runner: LocalJava, tmp_path: Path) -> None:
    """What differs is found, although a part cannot be compared; a damaged file has the exit code of a difference."""
    content = as_withings_sync()
    (checked,) = cross_check(runner, [Case(content, content, [ALONE])])
    assert "weigh-in 1, weight: ours 81.4, theirs 64.6" in map(str, checked.writing)
    assert checked.not_compared == ["device_info: field 8"]
    (tmp_path / "damaged.fit").write_bytes(damaged(content, -12))
    assert sdk(["verify", str(tmp_path / "damaged.fit")], environment_of(runner)).exit_code == DIFFERS


def test_undocumented_as_json(runner: LocalJava, tmp_path: Path) -> None:
    """With --json, what cannot be compared is data."""
    (tmp_path / "file.fit").write_bytes(as_withings_sync())
    done = sdk(["verify", "--json", str(tmp_path / "file.fit")], environment_of(runner))
    result = json.loads(done.stdout)
    assert (result["agrees"], result["differences"]) == (False, [])
    assert result["not_compared"] == ["device_info: field 8"]


def test_not_a_weight_file(runner: LocalJava, tmp_path: Path) -> None:
    """A FIT file without a weigh-in is not called different: it is not a weight file."""
    (tmp_path / "activity.fit").write_bytes(File([file_id(kind=4)]).to_bytes())
    done = sdk(["verify", str(tmp_path / "activity.fit")], environment_of(runner))
    assert (done.exit_code, done.stdout) == (UNUSABLE, "")
    assert done.stderr.rstrip().endswith("activity.fit is not a weight file: it has no weight_scale message.")


def test_header_crc_of_zero(runner: LocalJava) -> None:
    """A header CRC of 0 is legal: it was not calculated."""
    (checked,) = cross_check(runner, [Case(File([file_id(), weigh_in()], header_crc=False).to_bytes())])
    assert checked.agrees, checked


@pytest.mark.parametrize("version", ["21.120.0", "21.158.0", "21.188.0"])
def test_older_tools(runner: LocalJava, version: str) -> None:
    """FitCSVTools from 21.120 on agree on the golden table in both templates, and find what differs."""
    older = LocalJava(runner.java, older_jar(version))
    cases = [case_of(template, GOLDEN) for template in (PLAIN, DEVELOPERS)]
    wrong = Case(with_raws(ALONE, weight=6459), PLAIN, [ALONE])
    *right_ones, broken, foreign = cross_check(older, [*cases, wrong, Case(as_withings_sync())])
    assert all(checked.agrees for checked in right_ones)
    assert [str(d) for d in broken.writing] == ["weigh-in 1, weight: ours 64.59, theirs 64.6"]
    assert (foreign.writing, foreign.not_compared) == ([], ["device_info: field 8"])
    done = sdk(["doctor"], environment_of(older))
    assert done.exit_code == AGREES, done.stderr


def test_csv_round_trip(runner: LocalJava) -> None:
    """A CSV of the tool is the same after reading and writing it."""
    ran = runner.run({"in.fit": DEVELOPERS}, [decode_command("in.fit", "out.csv")])
    rows = read_csv(checked_output(ran, 0, "out.csv"))
    assert read_csv(write_csv(rows)) == rows


TITLES = b"Type,Local Number,Message,\n"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"a,b\n",
        TITLES + b"Data,0\nx\n",
        TITLES + b"Odd,0,file_id",
    ],
)
def test_invalid_csv(content: bytes) -> None:
    """Content that is not a CSV of the tool is not trusted."""
    with pytest.raises(RunFailed):
        read_csv(content)


def test_canonical_form() -> None:
    """The canonical form drops byte order and local message types, and keeps every byte of the values."""
    little = File([file_id("<"), weigh_in("<", local=1)]).to_bytes()
    big = File([file_id(">"), weigh_in(">", local=5)]).to_bytes()
    assert little != big
    assert canonical(little) == canonical(big)
    for at in range(len(little) - 11, len(little) - 2):  # the values of the weigh-in
        assert canonical(resealed(damaged(little, at))) != canonical(little)


# --- the machine ---


def program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def jar(tmp_path: Path, content: bytes = b"PK\3\4") -> Path:
    path = tmp_path / "FitCSVTool.jar"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0123", "git lfs pull"),
        (b"<html>not found</html>", "is not a jar"),
        (b"", "is not a jar"),
    ],
)
def test_not_a_jar(tmp_path: Path, content: bytes, words: str) -> None:
    """A file that is not a jar is named, with the fix."""
    environment = {"PATH": os.environ["PATH"], "FIT_CSV_TOOL_JAR": str(jar(tmp_path, content))}
    with pytest.raises(RunnerUnusable, match=words):
        local_java(environment, chosen=False)


def test_missing_jar(tmp_path: Path) -> None:
    """A missing jar is named, with the fix."""
    environment = {"PATH": os.environ["PATH"], "FIT_CSV_TOOL_JAR": str(tmp_path / "no.jar")}
    with pytest.raises(RunnerUnusable, match="cannot be read"):
        local_java(environment, chosen=False)


def test_jar_of_another_program(tmp_path: Path) -> None:
    """A jar of another program is not mistaken for FitCSVTool."""
    java = program(tmp_path / "java", "echo Error: Could not find or load main class; exit 1")
    with pytest.raises(RunnerUnusable, match="not Garmin's FitCSVTool"):
        cross_check(LocalJava(str(java), jar(tmp_path)), [Case(right(ALONE))])


def test_old_tool(tmp_path: Path) -> None:
    """A FitCSVTool that is too old is refused."""
    old = program(tmp_path / "java", "echo 'FIT CSV Tool - Protocol 2.0 Profile 20.96 Release'")
    with pytest.raises(RunnerUnusable, match=r"profile 20.96; 21.120 or newer is needed"):
        cross_check(LocalJava(str(old), jar(tmp_path)), [Case(right(ALONE))])


def test_hanging_tool(tmp_path: Path) -> None:
    """A FitCSVTool that hangs is stopped at the deadline."""
    hanging = program(tmp_path / "java", "exec sleep 60")
    with pytest.raises(RunnerUnusable, match=r"did not finish within 0.2 s"):
        cross_check(LocalJava(str(hanging), jar(tmp_path), deadline_s=0.2), [Case(right(ALONE))])


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that fails leaves no file behind."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "bin").mkdir()
    tool = LocalJava(str(program(tmp_path / "bin" / "java", "kill -9 $$")), jar(tmp_path / "bin"))
    with pytest.raises(RunnerUnusable):
        cross_check(tool, [Case(right(ALONE))])
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]


# --- the command ---


def environment_of(tool: LocalJava) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "FIT_CSV_TOOL_JAR": str(tool.jar)}


def test_encode_passes_the_proof(runner: LocalJava, tmp_path: Path) -> None:
    """A file that FitCSVTool wrote passes the same proof as ours."""
    made = tmp_path / "made.fit"
    environment = environment_of(runner)
    done = sdk(["encode", str(ROOT / "examples" / "canonical.json"), "-o", str(made)], environment)
    assert done.exit_code == AGREES, done.stderr
    assert "written by FitCSVTool" in done.stdout
    assert made.read_bytes()[14:] != b""
    assert sdk(["verify", str(made)], environment).exit_code == AGREES


@pytest.mark.parametrize("template", [PLAIN, DEVELOPERS], ids=["weight_scale", "weight_scale_developer"])
def test_garmin_file_decodes_alike(runner: LocalJava, template: bytes) -> None:
    """fitdecode reads the same values from FitCSVTool's file as from ours, though the bytes differ."""
    readings = [golden.reading for golden in GOLDEN]
    theirs = encode_by_garmin(runner, template, readings).content
    ours = patch(read_template(template), [encode(reading) for reading in readings])
    assert theirs != ours
    assert by_fitdecode(theirs) == by_fitdecode(ours)


@pytest.mark.parametrize(
    ("payload", "words"),
    [({"weight_kg": "heavy"}, "weight_kg: "), ([], "1 to 200 readings")],
)
def test_impossible_reading(runner: LocalJava, tmp_path: Path, payload: object, words: str) -> None:
    """An impossible reading ends `sdk encode` with exit code 2, one sentence and no file."""
    (tmp_path / "reading.json").write_text(json.dumps(payload))
    arguments = ["encode", str(tmp_path / "reading.json"), "-o", str(tmp_path / "made.fit")]
    done = sdk(arguments, environment_of(runner))
    assert done.exit_code == UNUSABLE
    assert words in done.stderr
    assert not (tmp_path / "made.fit").exists()


def test_exit_codes(runner: LocalJava, tmp_path: Path) -> None:
    """Agreement, difference, trouble and "nothing verified" each have their own exit code."""
    environment = environment_of(runner)
    (tmp_path / "good.fit").write_bytes(right(BEST))
    (tmp_path / "bad.fit").write_bytes(damaged(right(BEST), 50))
    good = sdk(["verify", str(tmp_path / "good.fit")], environment)
    assert (good.exit_code, good.stdout) == (AGREES, "All agree.\n")
    bad = sdk(["verify", str(tmp_path / "bad.fit")], environment)
    assert bad.exit_code == DIFFERS
    assert "The file's CRC does not match" in bad.stdout
    wrong = sdk(["verify"], environment | {"FIT_CSV_TOOL_JAR": str(tmp_path / "no.jar")})
    assert wrong.exit_code == UNUSABLE
    assert "Set FIT_CSV_TOOL_JAR" in wrong.stderr
    nothing = sdk(["verify"], {"PATH": str(tmp_path), "HOME": str(tmp_path)})
    assert (nothing.exit_code, nothing.stdout) == (SKIPPED, "")
    assert nothing.stderr.startswith("Skipped, nothing was verified: There is no Java here.")
    assert sdk(["verify", "--on", "local"], {"PATH": str(tmp_path)}).exit_code == UNUSABLE


def test_difference_as_json(runner: LocalJava, tmp_path: Path) -> None:
    """With --json, a difference is data."""
    (tmp_path / "bad.fit").write_bytes(damaged(right(BEST), 50))
    bad = sdk(["verify", "--json", str(tmp_path / "bad.fit")], environment_of(runner))
    assert bad.exit_code == DIFFERS
    result = json.loads(bad.stdout)
    assert not result["agrees"]
    assert "The file's CRC does not match" in result["differences"][0]


def test_doctor_names_the_version(runner: LocalJava) -> None:
    """`sdk doctor` prints the tool's name and version."""
    done = sdk(["doctor"], environment_of(runner))
    assert done.exit_code == AGREES, done.stderr
    assert "FIT CSV Tool - Protocol" in done.stdout
    assert done.stdout.rstrip().endswith(
        "FitCSVTool writes a weigh-in with weight_scale.fit, and fitdecode verifies it."
    )


def test_doctor_promises_what_encode_keeps(runner: LocalJava, tmp_path: Path) -> None:
    """With a template that the tool cannot write, `sdk doctor` and `sdk encode` fail with the same sentence."""
    template = tmp_path / "withings.fit"
    template.write_bytes(as_withings_sync())
    environment = environment_of(runner) | {"WEIGHBRIDGE_TEMPLATE": str(template)}
    doctor = sdk(["doctor"], environment)
    encoded = sdk(["encode", str(ROOT / "examples" / "canonical.json"), "-o", str(tmp_path / "made.fit")], environment)
    assert (doctor.exit_code, encoded.exit_code) == (UNUSABLE, UNUSABLE)
    assert "cannot write this template: it does not know device_info: field 8" in doctor.stderr
    assert doctor.stderr == encoded.stderr


def test_function_does_not_import_fallback() -> None:
    """The function imports nothing of sdk_fallback."""
    code = (
        "import sys, weighbridge.http.app, weighbridge.compose; "
        "sys.exit(any(name.startswith('sdk_fallback') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
