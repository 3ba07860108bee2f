"""What was kept is delivered later, byte for byte as it was kept, and put away once it has arrived."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from weighbridge.delivery.folder import Folder
from weighbridge.delivery.kept import read_kept
from weighbridge.errors import FolderUnusable, TemplateUnusable
from weighbridge.fit.encode import RawFields, decode, encode
from weighbridge.fit.patch import patch
from weighbridge.fit.template import Template, read_template
from weighbridge.fit.unpatch import unpatch
from weighbridge.pipeline import prove
from weighbridge.reading.reading import Reading
from weighbridge.settings import TEMPLATES
from weighbridge.operate.deliver_kept import main

from .garmin.server import GarminStandIn
from .golden import GOLDEN, Golden

EVENING = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
ALL_TEMPLATES = [read_template(path.read_bytes()) for path in sorted(TEMPLATES.glob("*.fit"))]
DEVELOPER, PLAIN = sorted(ALL_TEMPLATES, key=lambda template: -len(template.fields))


def reading(number: int = 0, weight_kg: str = "81.4", **values: str) -> Reading:
    numbers = {name: Decimal(text) for name, text in values.items()}
    return Reading(measured_at=EVENING + timedelta(hours=number), weight_kg=Decimal(weight_kg), **numbers)


def keep(folder: Path, *readings: Reading, template: Template = PLAIN) -> Path:
    (outcome, *_) = Folder(folder).deliver(readings, lambda some: prove(template, some), replace=False)
    return folder / str(outcome.file_name)


# -- the way back from bytes -----------------------------------------------------------------------------


def held(raws: RawFields, template: Template) -> dict[str, int]:
    return {name: raw for name, raw in raws.items() if name in template.fields}


@pytest.mark.parametrize("template", ALL_TEMPLATES, ids=lambda template: str(len(template.fields)))
@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
def test_the_bytes_of_a_file_lead_back_to_its_values_and_its_template(golden: Golden, template: Template) -> None:
    rows = [encode(golden.reading)]
    found, raws = unpatch(patch(template, rows))
    assert raws == [held(row, template) for row in rows]
    assert patch(found, raws) == patch(template, rows)


@pytest.mark.parametrize("count", [2, 3, 200])
def test_a_file_of_many_weigh_ins_leads_back_to_each_in_order(count: int) -> None:
    rows = [encode(reading(number, body_fat_percent="18.2")) for number in range(count)]
    assert unpatch(patch(DEVELOPER, rows))[1] == rows


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
def test_what_raw_values_tell_is_encoded_to_the_same_raw_values(golden: Golden) -> None:
    raws = encode(golden.reading)
    assert encode(Reading.model_validate(decode(raws))) == raws


def test_a_scales_own_file_with_more_in_it_is_none_of_ours() -> None:
    content = patch(PLAIN, [encode(reading(0)), encode(reading(1))])
    for damaged in (content[:-1], content + b"\0", content[:-2] + b"\0\0", b"", b"no FIT"):
        with pytest.raises(TemplateUnusable):
            unpatch(damaged)


@pytest.mark.parametrize("bit", range(8))
def test_a_kept_file_with_any_bit_changed_is_not_taken(tmp_path: Path, bit: int) -> None:
    path = keep(tmp_path, reading(body_fat_percent="18.2"))
    content = path.read_bytes()
    for at in range(len(content)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :])
        with pytest.raises(FolderUnusable, match="is not as it was kept"):
            read_kept(path)
    path.write_bytes(content)
    assert read_kept(path).fit.content == content


def test_a_file_under_another_name_is_not_taken(tmp_path: Path) -> None:
    path = keep(tmp_path, reading())
    with pytest.raises(FolderUnusable, match="renamed"):
        read_kept(path.rename(tmp_path / "weigh-in_mine.fit"))


# -- make deliver-kept -----------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "weigh-ins"


@pytest.fixture
def env(garmin: GarminStandIn, tmp_path: Path, folder: Path) -> dict[str, str]:
    garmin.write_token(tmp_path / "tokens")
    return {
        "WEIGHBRIDGE_DELIVERY": "garth,folder",
        "WEIGHBRIDGE_TOKENS": str(tmp_path / "tokens"),
        "WEIGHBRIDGE_FOLDER": str(folder),
        "WEIGHBRIDGE_CONFIRM_SECONDS": "0.2",
        "GARMIN_DOMAIN": garmin.domain,
        "GARMIN_CA_BUNDLE": str(garmin.ca_bundle),
    }


def waiting(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.fit"))


def delivered(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "delivered").glob("*.fit"))


def test_every_file_that_waits_arrives_as_it_was_kept_and_is_put_away(
    garmin: GarminStandIn, env: Mapping[str, str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uploads: list[bytes] = []
    answer = garmin.answer

    def record(request: object) -> object:
        if getattr(request, "path", "").startswith("/upload-service/"):
            uploads.append(request.body)  # type: ignore[attr-defined]
        return answer(request)  # type: ignore[arg-type]

    garmin.answer = record  # type: ignore[assignment]
    one = keep(folder, reading(0))
    many = keep(folder, *[reading(number, body_fat_percent="18.2") for number in range(1, 6)])
    rich = keep(folder, reading(7, subcutaneous_fat_percent="16.1"), template=DEVELOPER)
    contents = [path.read_bytes() for path in (one, many, rich)]
    assert main([], env) == 0
    assert (waiting(folder), len(delivered(folder)), len(garmin.weigh_ins())) == ([], 3, 7)
    assert all(any(content in upload for upload in uploads) for content in contents)
    assert capsys.readouterr().out.count("confirmed") == 3
    assert main([], env) == 0
    assert "Nothing waits" in capsys.readouterr().out
    assert garmin.uploads_received == 3


def test_a_file_that_was_imported_by_hand_meanwhile_is_found_and_not_sent_again(
    garmin: GarminStandIn, env: Mapping[str, str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = keep(folder, reading())
    garmin.weights.add(encode(reading()))
    assert main([], env) == 0
    assert "present" in capsys.readouterr().out
    assert (garmin.uploads_received, delivered(folder)) == (0, [path.name])


def test_what_garmin_does_not_show_yet_waits_for_the_next_run(
    garmin: GarminStandIn, env: Mapping[str, str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(folder, reading())
    garmin.weights.show_delay_s = 3600
    assert main([], env) == 1
    assert "did not show the reading" in capsys.readouterr().out
    assert len(waiting(folder)) == 1
    garmin.weights.entries[0] = type(garmin.weights.entries[0])(1, garmin.weights.entries[0].raw, 0)
    assert main([], env) == 0
    assert (waiting(folder), garmin.uploads_received) == ([], 1)


@pytest.mark.parametrize(
    ("route", "fault", "words"),
    [
        ("weight/range", "429", "asks to wait"),
        ("weight/range", "503", "out of order"),
        ("diauth/token", "400", "make login"),
        ("diauth/token", "429", "asks to wait"),
    ],
)
def test_what_every_file_would_meet_ends_the_run_at_once_and_all_wait(
    garmin: GarminStandIn,
    env: Mapping[str, str],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    route: str,
    fault: str,
    words: str,
) -> None:
    for number in range(3):
        keep(folder, reading(number))
    garmin.faults.add(route, fault, times=None)
    garmin.expire_access_tokens()
    assert main([], env) == 1
    error = capsys.readouterr().err
    assert words in error
    assert "3 file(s) still wait" in error
    assert len([logged for logged in garmin.requests if logged.route == route]) <= 2
    garmin.faults.clear()
    garmin.write_token(Path(env["WEIGHBRIDGE_TOKENS"]))
    assert main([], env) == 0
    assert (waiting(folder), len(garmin.weigh_ins())) == ([], 3)


def test_one_file_that_is_damaged_or_contradicted_waits_and_the_others_arrive(
    garmin: GarminStandIn, env: Mapping[str, str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged, contradicted, good = (keep(folder, reading(number)) for number in range(3))
    damaged.write_bytes(damaged.read_bytes()[:-1])
    garmin.weights.add(encode(reading(1, "90")))
    assert main([], env) == 1
    shown = capsys.readouterr().out
    assert "is not as it was kept" in shown
    assert "replace" in shown
    assert "90" not in shown.replace(good.name, "").replace(damaged.name, "").replace(contradicted.name, "")
    assert (waiting(folder), delivered(folder)) == (sorted([damaged.name, contradicted.name]), [good.name])
    assert main(["--replace"], env) == 1
    assert waiting(folder) == [damaged.name]
    assert sorted(entry["weight"] for entry in garmin.weigh_ins()) == [81400.0, 81400.0]


def test_an_upload_whose_outcome_is_unknown_is_looked_for_before_it_is_sent_again(
    garmin: GarminStandIn, env: Mapping[str, str], folder: Path
) -> None:
    keep(folder, reading())
    garmin.faults.add("upload", "drop-after")
    garmin.weights.show_delay_s = 0
    assert main([], env) == 0
    assert (garmin.uploads_received, len(garmin.weigh_ins())) == (1, 1)


def test_without_a_sign_in_the_mend_is_named_and_nothing_is_lost(
    env: dict[str, str], folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = keep(folder, reading())
    assert main([], env | {"WEIGHBRIDGE_TOKENS": str(tmp_path / "none")}) == 1
    assert "make login" in capsys.readouterr().err
    assert waiting(folder) == [path.name]


def test_where_only_files_are_kept_a_sign_in_is_enough(
    garmin: GarminStandIn, env: dict[str, str], folder: Path
) -> None:
    keep(folder, reading())
    assert main([], env | {"WEIGHBRIDGE_DELIVERY": "folder"}) == 0
    assert len(garmin.weigh_ins()) == 1


def test_a_setting_that_is_wrong_is_one_sentence(env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], env | {"WEIGHBRIDGE_DELIVERY": "pigeon"}) == 1
    assert capsys.readouterr().err.count("\n") == 1
