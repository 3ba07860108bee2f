"""Kept files are delivered later, byte for byte as they were kept, and put away once they have arrived."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from weighbridge.delivery.folder import Folder
from weighbridge.delivery.kept import put_away, read_kept
from weighbridge.errors import FolderUnusable, TemplateUnusable
from weighbridge.fit.encode import RawFields, decode, encode
from weighbridge.fit.patch import patch
from weighbridge.fit.template import Template, read_template
from weighbridge.fit.unpatch import unpatch
from weighbridge.operate.surroundings import Terminal
from weighbridge.pipeline import Prover
from weighbridge.reading.reading import Reading
from weighbridge.resources import TEMPLATES

from .commands import NOBODY, run
from .garmin.server import GarminStandIn
from .golden import GOLDEN, Golden

SOME_SECONDS = timedelta(seconds=20)
EVENING = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
ALL_TEMPLATES = [read_template(path.read_bytes()) for path in sorted(TEMPLATES.glob("*.fit"))]
DEVELOPER, PLAIN = sorted(ALL_TEMPLATES, key=lambda template: -len(template.fields))


def reading(number: int = 0, weight_kg: str = "81.4", **values: str) -> Reading:
    numbers = {name: Decimal(text) for name, text in values.items()}
    return Reading(measured_at=EVENING + timedelta(hours=number), weight_kg=Decimal(weight_kg), **numbers)


def keep(folder: Path, *readings: Reading, template: Template = PLAIN) -> Path:
    outcomes = Folder(folder).deliver(readings, Prover(template), replace=False)
    return folder / str(outcomes[readings[0]].file_name)


# -- from bytes to readings ------------------------------------------------------------------------------


def held(raws: RawFields, template: Template) -> dict[str, int]:
    return {name: raw for name, raw in raws.items() if name in template.fields}


@pytest.mark.parametrize("template", ALL_TEMPLATES, ids=lambda template: str(len(template.fields)))
@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
def test_unpatch(golden: Golden, template: Template) -> None:
    """The bytes of a file give back its raw values and its template."""
    rows = [encode(golden.reading)]
    found, raws = unpatch(patch(template, rows))
    assert raws == [held(row, template) for row in rows]
    assert patch(found, raws) == patch(template, rows)


@pytest.mark.parametrize("count", [2, 3, 200])
def test_unpatch_many(count: int) -> None:
    """A file with many weigh-ins gives back each of them, in order."""
    rows = [encode(reading(number, body_fat_percent="18.2")) for number in range(count)]
    assert unpatch(patch(DEVELOPER, rows))[1] == rows


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
def test_decode_and_encode(golden: Golden) -> None:
    """Raw values that are decoded and encoded again are the same."""
    raws = encode(golden.reading)
    assert encode(Reading.of(decode(raws))) == raws


def test_unpatch_other_files() -> None:
    """A file that Weighbridge cannot have made is refused."""
    content = patch(PLAIN, [encode(reading(0)), encode(reading(1))])
    for damaged in (content[:-1], content + b"\0", content[:-2] + b"\0\0", b"", b"no FIT"):
        with pytest.raises(TemplateUnusable):
            unpatch(damaged)


@pytest.mark.parametrize("bit", range(8))
def test_one_changed_bit(tmp_path: Path, bit: int) -> None:
    """A kept file with any one bit changed is refused."""
    path = keep(tmp_path, reading(body_fat_percent="18.2"))
    content = path.read_bytes()
    for at in range(len(content)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :])
        with pytest.raises(FolderUnusable, match="is not as it was kept"):
            read_kept(path)
    path.write_bytes(content)
    assert read_kept(path).fit.content == content


def test_renamed_file(tmp_path: Path) -> None:
    """A renamed kept file is refused."""
    path = keep(tmp_path, reading())
    with pytest.raises(FolderUnusable, match="renamed"):
        read_kept(path.rename(tmp_path / "weigh-in_mine.fit"))


# -- weighbridge kept deliver ------------------------------------------------------------------------------


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


def deliver(words: Sequence[str], env: Mapping[str, str]) -> int:
    """Deliver as a schedule does."""
    return run(["kept", "deliver", "--yes", *words], env)


def waiting(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.fit"))


def delivered(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "delivered").glob("*.fit"))


def test_deliver_all(
    garmin: GarminStandIn, env: Mapping[str, str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every file that waits arrives byte for byte as it was kept, and is put away."""
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
    assert deliver([], env) == 0
    assert (waiting(folder), len(delivered(folder)), len(garmin.weigh_ins())) == ([], 3, 7)
    assert all(any(content in upload for upload in uploads) for content in contents)
    assert capsys.readouterr().out.count("confirmed") == 3
    assert deliver([], env) == 0
    assert "No files are waiting" in capsys.readouterr().out
    assert garmin.uploads_received == 3


def test_imported_by_hand(
    garmin: GarminStandIn, env: Mapping[str, str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that was imported by hand in the meantime is found in Garmin and not sent."""
    path = keep(folder, reading())
    garmin.weights.add(encode(reading()))
    assert deliver([], env) == 0
    assert "present" in capsys.readouterr().out
    assert (garmin.uploads_received, delivered(folder)) == (0, [path.name])


def test_not_visible_yet(
    garmin: GarminStandIn, env: Mapping[str, str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file whose weigh-in Garmin does not show yet waits for the next run, and is not uploaded twice."""
    keep(folder, reading())
    garmin.weights.show_delay_s = 3600
    assert deliver([], env) == 1
    assert "did not show the reading" in capsys.readouterr().out
    assert len(waiting(folder)) == 1
    garmin.weights.entries[0] = type(garmin.weights.entries[0])(1, garmin.weights.entries[0].raw, 0)
    assert deliver([], env) == 0
    assert (waiting(folder), garmin.uploads_received) == ([], 1)


@pytest.mark.parametrize(
    ("route", "fault", "words"),
    [
        ("weight/range", "429", "asks to wait"),
        ("weight/range", "503", "is not working"),
        ("diauth/token", "400", "login"),
        ("diauth/token", "429", "asks to wait"),
    ],
)
def test_shared_fault(
    garmin: GarminStandIn,
    env: Mapping[str, str],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    route: str,
    fault: str,
    words: str,
) -> None:
    """A fault that every file would have ends the run at once, and all files keep waiting."""
    for number in range(3):
        keep(folder, reading(number))
    garmin.faults.add(route, fault, times=None)
    garmin.expire_access_tokens()
    assert deliver([], env) == 1
    error = capsys.readouterr().err
    assert words in error
    assert "3 file(s) still wait" in error
    assert len([logged for logged in garmin.requests if logged.route == route]) <= 2
    garmin.faults.clear()
    garmin.write_token(Path(env["WEIGHBRIDGE_TOKENS"]))
    assert deliver([], env) == 0
    assert (waiting(folder), len(garmin.weigh_ins())) == ([], 3)


def test_fault_of_one_file(
    garmin: GarminStandIn, env: Mapping[str, str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A damaged file, or one with a conflict, keeps waiting; the others arrive."""
    damaged, contradicted, good = (keep(folder, reading(number)) for number in range(3))
    damaged.write_bytes(damaged.read_bytes()[:-1])
    garmin.weights.add(encode(reading(1, "90")))
    assert deliver([], env) == 1
    shown = capsys.readouterr().out
    assert "is not as it was kept" in shown
    assert "replace" in shown
    assert "90" not in shown.replace(good.name, "").replace(damaged.name, "").replace(contradicted.name, "")
    assert (waiting(folder), delivered(folder)) == (sorted([damaged.name, contradicted.name]), [good.name])
    assert deliver(["--replace"], env) == 1
    assert waiting(folder) == [damaged.name]
    assert sorted(entry["weight"] for entry in garmin.weigh_ins()) == [81400.0, 81400.0]


def test_additions(
    garmin: GarminStandIn, env: Mapping[str, str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that has more than Garmin waits and says what; with --replace, Garmin has it too."""
    path = keep(folder, reading(bone_mass_kg="3.2", visceral_fat_rating="7"))
    garmin.weights.add(encode(reading(body_fat_percent="18.2")))
    assert deliver([], env) == 1
    shown = capsys.readouterr().out
    assert "This reading would add bone mass and visceral fat." in shown
    assert "--replace" in shown
    assert (waiting(folder), garmin.uploads_received) == ([path.name], 0)
    assert deliver(["--replace"], env) == 0
    (entry,) = garmin.weigh_ins()
    assert (entry["boneMass"], entry["visceralFat"], entry["bodyFat"]) == (3200, 7, 18.2)
    assert (waiting(folder), delivered(folder)) == ([], [path.name])


def test_value_not_shown(
    garmin: GarminStandIn, env: Mapping[str, str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file waits while Garmin does not show all of its values, for `kept deliver` and for `confirm`."""
    path = keep(folder, reading(bone_mass_kg="3.2", body_fat_percent="18.2"))
    garmin.weights.shown_as = {"bone_mass": None}
    assert deliver([], env) == 1
    shown = capsys.readouterr().out
    assert "Garmin Connect does not show bone mass." in shown
    assert "--replace" in shown
    assert run(["confirm"], env) == 1
    shown = capsys.readouterr().out
    assert "does not show bone mass" in shown
    assert "kept deliver --replace" in shown
    assert waiting(folder) == [path.name]
    garmin.weights.shown_as = {}
    assert run(["confirm"], env) == 0
    assert delivered(folder) == [path.name]


def test_part_of_another_weigh_in(garmin: GarminStandIn, env: dict[str, str], folder: Path) -> None:
    """A kept message of a weigh-in that Garmin has at another second is put away, if it adds nothing."""
    at = reading().measured_at
    keep(folder, reading())
    garmin.weights.add(encode(replace(reading(body_fat_percent="18.2"), measured_at=at + SOME_SECONDS)))
    assert run(["confirm"], env | {"WEIGHBRIDGE_JOIN_SECONDS": "0"}) == 1
    assert run(["confirm"], env) == 0
    keep(folder, reading())
    assert deliver([], env) == 0
    assert (waiting(folder), len(garmin.weigh_ins()), garmin.uploads_received) == ([], 1, 0)


def test_old_entry_remains(
    garmin: GarminStandIn, env: Mapping[str, str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file waits until the entry that it replaced is gone."""
    path = keep(folder, reading())
    garmin.weights.add(encode(reading(0, "90")))
    garmin.faults.add("weight/delete", "503")
    assert deliver(["--replace"], env) == 1
    assert "still there" in capsys.readouterr().out
    assert deliver(["--replace"], env) == 0
    assert (delivered(folder), len(garmin.weigh_ins())) == ([path.name], 1)


def test_unknown_outcome(garmin: GarminStandIn, env: Mapping[str, str], folder: Path) -> None:
    """After an upload with an unknown outcome, Garmin is searched before anything is sent again."""
    keep(folder, reading())
    garmin.faults.add("upload", "drop-after")
    garmin.weights.show_delay_s = 0
    assert deliver([], env) == 0
    assert (garmin.uploads_received, len(garmin.weigh_ins())) == (1, 1)


def test_no_sign_in(env: dict[str, str], folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a sign-in the message names the command that fixes it, and no file is lost."""
    path = keep(folder, reading())
    assert deliver([], env | {"WEIGHBRIDGE_TOKENS": str(tmp_path / "none")}) == 1
    assert "login" in capsys.readouterr().err
    assert waiting(folder) == [path.name]


def test_delivery_folder(garmin: GarminStandIn, env: dict[str, str], folder: Path) -> None:
    """With the delivery `folder`, kept files can be delivered as soon as there is a sign-in."""
    keep(folder, reading())
    assert deliver([], env | {"WEIGHBRIDGE_DELIVERY": "folder"}) == 0
    assert len(garmin.weigh_ins()) == 1


def test_invalid_setting(env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """An invalid setting is reported in one sentence."""
    assert deliver([], env | {"WEIGHBRIDGE_DELIVERY": "pigeon"}) == 1
    assert capsys.readouterr().err.count("\n") == 1


# -- before anything is sent -----------------------------------------------------------------------------


def asked(answer: str, *, is_there: bool = True) -> tuple[list[str], Terminal]:
    """What was asked, and the person who answers."""
    questions: list[str] = []

    def ask(question: str) -> str:
        questions.append(question)
        return answer

    return questions, replace(NOBODY, ask=ask, is_there=lambda: is_there)


@pytest.mark.parametrize(("answer", "code", "left"), [("y", 0, 0), ("yes", 0, 0), ("", 1, 2), ("n", 1, 2)])
def test_question(
    garmin: GarminStandIn,
    env: dict[str, str],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    answer: str,
    code: int,
    left: int,
) -> None:
    """At a terminal, date and weight are shown, and nothing is sent without a yes."""
    keep(folder, reading(0))
    keep(folder, reading(1, "82.5"), reading(2, "82.6"))
    questions, terminal = asked(answer)
    assert run(["kept", "deliver"], env | {"WEIGHBRIDGE_TIMEZONE": "Europe/Berlin"}, terminal) == code
    shown = capsys.readouterr().out
    for line in ("2026-11-20 19:00  81.40 kg", "2026-11-20 20:00  82.50 kg", "2026-11-20 21:00  82.60 kg"):
        assert line in shown
    assert questions == ["Send these 3 weigh-ins to Garmin Connect? [y/N] "]
    assert (len(waiting(folder)), garmin.uploads_received) == (left, 2 - left)


def test_not_a_terminal(
    garmin: GarminStandIn, env: dict[str, str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a terminal and --yes nothing is sent; the one sentence holds no measurement."""
    path = keep(folder, reading())
    questions, terminal = asked("y", is_there=False)
    assert run(["kept", "deliver"], env, terminal) == 1
    output = capsys.readouterr()
    assert "--yes" in output.err
    assert output.err.count("\n") == 1
    assert "81.4" not in output.out + output.err
    assert (questions, waiting(folder), garmin.requests) == ([], [path.name], [])


def test_log_without_measurements(env: dict[str, str], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The output with --yes holds no measurement."""
    path = keep(folder, reading())
    assert deliver([], env) == 0
    output = capsys.readouterr()
    assert path.name in output.out
    assert "81.4" not in output.out + output.err


def test_list(garmin: GarminStandIn, env: dict[str, str], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`kept list` shows the files that wait, and leaves them there."""
    good, damaged = keep(folder, reading(0)), keep(folder, reading(1))
    damaged.write_bytes(b"")
    keep(folder / "anna", reading(2))
    assert run(["kept", "list"], env | {"WEIGHBRIDGE_TIMEZONE": "UTC"}) == 0
    shown = capsys.readouterr().out
    assert f"  {good.name}\n    2026-11-20 18:00  81.40 kg\n" in shown
    assert "is not as it was kept" in shown
    assert "weighbridge kept list --name anna" in shown
    assert run(["kept", "list", "--json"], env) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["files"][0] == {
        "file_name": good.name,
        "readings": [{"measured_at": "2026-11-20T18:00:00Z", "weight_kg": 81.4}],
    }
    assert "is not as it was kept" in answer["files"][1]["fault"]
    assert (len(waiting(folder)), garmin.requests) == (2, [])


# -- each person's files are their own ------------------------------------------------------------------


@pytest.mark.parametrize("command", [["kept", "deliver", "--yes"], ["kept", "confirm"], ["confirm"]])
def test_person(garmin: GarminStandIn, env: dict[str, str], folder: Path, command: list[str]) -> None:
    """A person's files go to their account. The Personal API key is not used, because it reads one account."""
    ours, annas = keep(folder, reading(0)), keep(folder / "anna", reading(1))
    tokens = Path(env["WEIGHBRIDGE_TOKENS"])
    (tokens / "default.json").rename(tokens / "anna.json")
    if "deliver" not in command:
        garmin.weights.add(encode(reading(1)))
    assert run([*command, "--name", "anna"], env | {"GARMIN_PERSONAL_API_KEY": garmin.personal.key}) == 0
    assert (delivered(folder / "anna"), waiting(folder), delivered(folder)) == ([annas.name], [ours.name], [])
    assert [logged.route for logged in garmin.requests if logged.route.startswith("personal/")] == []
    assert len(garmin.weigh_ins()) == 1


@pytest.mark.parametrize("command", [["kept", "deliver", "--yes"], ["kept", "list"], ["confirm"], ["doctor"]])
def test_name_outside_folder(
    env: dict[str, str], folder: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A name that leads out of the folder is refused."""
    assert run([*command, "--name", "../x"], env) == 1
    error = capsys.readouterr().err
    assert "letters" in error
    assert error.count("\n") == 1


# -- retention -------------------------------------------------------------------------------------------


def test_prune_deletes_only_what_arrived(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Prune counts, and with --yes deletes, old files that have arrived; one that waits stays, whatever its age."""
    environment = {"WEIGHBRIDGE_FOLDER": str(tmp_path)}
    waits = keep(tmp_path, reading(0))
    for number in (-24 * 400, -24 * 366, -24 * 364):
        put_away(read_kept(keep(tmp_path, reading(number))))
    (tmp_path / "delivered" / "my own.fit").touch()

    def now() -> float:
        return (EVENING + timedelta(hours=1)).timestamp()

    assert run(["kept", "prune", "--older-than", "365d"], environment, now=now) == 0
    assert capsys.readouterr().out == "2 file(s) would be deleted. Pass --yes to delete them.\n"
    assert len(list((tmp_path / "delivered").iterdir())) == 4
    assert run(["kept", "prune", "--older-than", "365d", "--yes"], environment, now=now) == 0
    assert capsys.readouterr().out == "2 file(s) deleted.\n"
    assert len(list((tmp_path / "delivered").iterdir())) == 2
    assert waits.exists()
