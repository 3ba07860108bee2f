"""Several people at one scale: each reading reaches the account of its person, and never by a guess."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.compose import compose
from weighbridge.delivery.kept import kept_files
from weighbridge.errors import ReadingRejected, SettingsInvalid
from weighbridge.reading.people import RECENT, Person, Weight, read_people, who
from weighbridge.reading.reading import Reading
from weighbridge.settings import read_settings

from .function_client import ROOT, client
from .garmin.server import GarminStandIn

EXAMPLE = ROOT / "examples" / "people.toml"
ANNA, BEN = read_people(EXAMPLE.read_text())
NOW = datetime(2026, 11, 22, 6, 31, tzinfo=UTC)


def reading(kg: float | Decimal, person: str | None = None) -> Reading:
    return Reading(measured_at=NOW, weight_kg=Decimal(str(kg)), person=person)


def weighed(days_ago: float, kg: float) -> Weight:
    return Weight(NOW - timedelta(days=days_ago), Decimal(str(kg)))


@pytest.mark.parametrize(
    ("kg", "annas", "bens", "expected"),
    [
        (60, [], [], "Anna"),
        (80, [], [], "Ben"),
        (67, [], [], "fits several people: Anna, Ben"),
        (67, [weighed(1, 60)], [weighed(1, 67.5)], "Ben"),
        (67, [weighed(1, 66.8)], [weighed(1, 80)], "Anna"),
        (67, [weighed(1, 66.8)], [weighed(1, 67.5)], "fits several people: Anna, Ben"),
        (67, [weighed(40, 60)], [weighed(1, 67.5)], "fits several people: Anna, Ben"),
        (67, [weighed(1, 60)], [weighed(1, 80)], "fits no one"),
        (80, [], [weighed(2, 92), weighed(1, 81)], "Ben"),
        (92, [], [weighed(1, 80)], "fits no one"),
        (178, [], [], "fits no one"),
    ],
)
def test_range_and_recent_weights_decide(kg: float, annas: list[Weight], bens: list[Weight], expected: str) -> None:
    """A reading without a name belongs to the only person whose range and recent weights it fits."""
    recent = {"Anna": annas, "Ben": bens}
    try:
        found = who((ANNA, BEN), reading(kg), lambda person, _: recent[person.name]).name
    except ReadingRejected as e:
        (error,) = e.errors
        assert error.field == "person"
        found = error.message
    assert expected in found


@given(
    kg=st.decimals(40, 120, places=1),
    annas=st.decimals(50, 75, places=1),
    bens=st.decimals(60, 100, places=1),
    days=st.integers(0, 40),
)
def test_found_person_is_the_only_fit(kg: Decimal, annas: Decimal, bens: Decimal, days: int) -> None:
    """The person who is found is the only one who fits; otherwise the reading is rejected."""
    weights = {"Anna": [weighed(days, float(annas))], "Ben": [weighed(days, float(bens))]}

    def fits(person: Person, last: Decimal) -> bool:
        assert person.weight_kg is not None
        near = timedelta(days=days) > RECENT or abs(kg - last) <= last * 4 / 100
        return person.weight_kg[0] <= kg <= person.weight_kg[1] and near

    fitting = [person for person, last in ((ANNA, annas), (BEN, bens)) if fits(person, last)]
    try:
        assert [who((ANNA, BEN), reading(kg), lambda person, _: weights[person.name])] == fitting
    except ReadingRejected:
        assert len(fitting) != 1


@pytest.mark.parametrize("name", ["Ben", "ben", " BEN ", "2"])
def test_name_decides(name: str) -> None:
    """A name or alias decides, whatever the weight is."""
    assert who((ANNA, BEN), reading(40, name), lambda *_: pytest.fail("no weights need to be read")) == BEN


def test_unknown_name() -> None:
    """An unknown name is rejected, and the message lists the known ones."""
    with pytest.raises(ReadingRejected) as caught:
        who((ANNA, BEN), reading(60, "Carl"), lambda *_: ())
    (error,) = caught.value.errors
    assert (error.field, error.input) == ("person", "Carl")
    assert error.message == "No person by that name is configured. Known: Anna, Ben."


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", r"must hold \[\[person\]\] tables"),
        ("person = 3", r"must hold \[\[person\]\] tables"),
        ("[[person]", "is not valid TOML"),
        ("[[person]]\nalias = 'x'", "person 1: alias must be left out"),
        ("[[person]]\nname = ''", "person 1 .*: name must be a text"),
        ("[[person]]\nname = 'A'\ntoken = '../x'", r"person 1 \(A\): token must be a word"),
        ("[[person]]\nname = 'A'\naliases = 'x'", "aliases must be a list"),
        ("[[person]]\nname = 'A'\nweight_kg = [70, 55]", "weight_kg must be two weights"),
        ("[[person]]\nname = 'A'\nweight_kg = [1, 2000]", "weight_kg must be two weights"),
        ("[[person]]\nname = 'A'\nheight_cm = 1.68", "height_cm must be a number from"),
        ("[[person]]\nname = 'A'\nheight_cm = true", "height_cm must be a number from"),
        ("[[person]]\nname = 'A'\nmuscle = 'all'", "muscle must be muscle_mass_kg or skeletal_muscle_mass_kg"),
        ("[[person]]\nname = 'A'\n[[person]]\nname = 'B'\naliases = ['a']", "the name or alias 'a' is used for two"),
        ("[[person]]\nname = 'A'\ntoken = 'x'\n[[person]]\nname = 'B'\ntoken = 'x'", "the token 'x' is used for two"),
    ],
)
def test_invalid_file(text: str, words: str) -> None:
    """An error in the file of people names the person and the key."""
    with pytest.raises(SettingsInvalid, match=words):
        read_people(text)


# -- through the function ------------------------------------------------------------------------------------


@contextmanager
def home(monkeypatch: pytest.MonkeyPatch, garmin: GarminStandIn, folder: Path, **more: object) -> Iterator[Any]:
    for token in ("anna", "ben"):
        garmin.write_token(folder / "tokens", token)
    settings = {
        "WEIGHBRIDGE_PEOPLE": EXAMPLE,
        "WEIGHBRIDGE_DELIVERY": "garth",
        "WEIGHBRIDGE_TOKENS": folder / "tokens",
        "WEIGHBRIDGE_FOLDER": folder / "kept",
        "GARMIN_DOMAIN": garmin.domain,
        "GARMIN_CA_BUNDLE": garmin.ca_bundle,
    }
    yield client(monkeypatch, **(settings | more))


def weights(garmin: GarminStandIn, owner: str) -> list[float]:
    return [entry.raw["weight"] / 100 for entry in garmin.weights_of[owner].visible()]


def test_reading_reaches_only_its_account(
    monkeypatch: pytest.MonkeyPatch, garmin: GarminStandIn, tmp_path: Path
) -> None:
    """Each reading reaches the account of its person and no other."""
    with home(monkeypatch, garmin, tmp_path) as function:
        answer = function.post(
            "/readings",
            json=[
                {"measured_at": "2026-11-20T06:31:00Z", "weight": 66, "person": "anna-phone"},
                {"measured_at": "2026-11-20T06:35:00Z", "weight": 80},
                {"measured_at": "2026-11-20T06:36:00Z", "weight": 178},
                {"measured_at": "2026-11-20T06:37:00Z", "weight": 58},
            ],
        )
        found = [result.get("status") for result in answer.json["results"]]
        assert found == ["confirmed", "confirmed", 422, "confirmed"]
        assert (sorted(weights(garmin, "anna")), weights(garmin, "ben"), weights(garmin, "")) == ([58, 66], [80], [])
        # The range fits both; the recent weights fit neither, and then only Ben.
        for kg, status in ((69.5, 422), (78, 201)):
            at = {"measured_at": "2026-11-21T06:31:00Z"}
            assert function.post("/readings", json={**at, "weight": kg}).status_code == status
        assert sorted(weights(garmin, "ben")) == [78, 80]


def test_unclear_person_is_asked_for(monkeypatch: pytest.MonkeyPatch, garmin: GarminStandIn, tmp_path: Path) -> None:
    """A reading whose person is not clear names those it may belong to. Sent again with one of them, it is theirs,
    whatever it says itself."""
    with home(monkeypatch, garmin, tmp_path) as function:
        for reading, candidates in (
            ({"weight": 68}, ["Anna", "Ben"]),
            ({"weight": 178}, ["Anna", "Ben"]),
            ({"weight": 68, "person": "Carl"}, ["Anna", "Ben"]),
            ({"weight": 68, "scale_user_slot": 3}, ["Anna", "Ben"]),
        ):
            timed = {**reading, "measured_at": "2026-11-20T06:31:00Z"}
            asked = function.post("/?dry_run=true", json=timed)
            assert (asked.status_code, asked.json["type"]) == (422, "urn:weighbridge:person-unclear")
            assert asked.json["candidates"] == candidates
            checked = function.post("/?dry_run=true&person=anna", json=timed)
            assert (checked.status_code, checked.json["status"]) == (200, "checked")
            assert function.post("/fit?person=anna", json=timed).status_code == 200
        answered = function.post("/?person=2", json={"weight": 68, "measured_at": "2026-11-20T06:31:00Z"})
        assert answered.json["status"] == "confirmed"
        assert (weights(garmin, "anna"), weights(garmin, "ben")) == ([], [68])
        assert function.post("/?person=Carl", json={"weight": 68}).status_code == 404
    with home(monkeypatch, garmin, tmp_path, WEIGHBRIDGE_PEOPLE="") as function:
        assert function.post("/?person=Anna", json={"weight": 68}).status_code == 404


def test_candidates_of_a_key(monkeypatch: pytest.MonkeyPatch, garmin: GarminStandIn, tmp_path: Path) -> None:
    """A key for one person may choose only that person, and sees no other among the candidates."""
    key = {"X-API-Key": "a-key-of-sixteen-letters"}
    with home(monkeypatch, garmin, tmp_path, WEIGHBRIDGE_API_KEYS="anna@anna=a-key-of-sixteen-letters") as function:
        asked = function.post("/", json={"weight": 68}, headers=key)
        assert asked.json["candidates"] == ["Anna"]
        assert function.post("/?person=Ben", json={"weight": 68}, headers=key).status_code == 403
        assert function.post("/?person=Anna", json={"weight": 68}, headers=key).status_code == 201


def test_read_and_delete_by_name(monkeypatch: pytest.MonkeyPatch, garmin: GarminStandIn, tmp_path: Path) -> None:
    """Weigh-ins are read and deleted in the account of the person that the request names."""
    with home(monkeypatch, garmin, tmp_path) as function:
        for kg in (60, 80):
            assert function.post("/", json={"measured_at": "2026-11-20T06:31:00Z", "weight": kg}).status_code == 201
        span = "from=2026-11-19&to=2026-11-22"
        (annas,) = function.get(f"/readings?{span}&person=Anna").json["readings"]
        (bens,) = function.get(f"/readings?{span}&person=2").json["readings"]
        assert (annas["weight_kg"], bens["weight_kg"]) == (60, 80)
        refused = function.get(f"/readings?{span}")
        assert refused.status_code == 400
        assert refused.json["errors"][0]["message"] == "Expected one of these names: Anna, Ben."
        unknown = function.get(f"/readings?{span}&person=Carl")
        assert unknown.status_code == 404
        assert unknown.json["detail"] == "No person by that name is configured. Known: Anna, Ben."
        assert function.delete(f"/readings/{annas['id']}?person=Anna").status_code == 204
        assert (weights(garmin, "anna"), weights(garmin, "ben")) == ([], [80])


def test_height_and_muscle_of_a_person(monkeypatch: pytest.MonkeyPatch, garmin: GarminStandIn, tmp_path: Path) -> None:
    """The configured height and muscle value of a person are used, and notes say so."""
    with home(monkeypatch, garmin, tmp_path) as function:
        both = {"muscle mass": 63.2, "bone mass": 3.4, "skeletal_muscle_mass_kg": 36.5}
        receipt = function.post(
            "/", json={"measured_at": "2026-11-20T06:31:00Z", "weight": 81.4, "body fat": 18.2, **both}
        ).json
        sent = {field["fit_field"]: field["sent"] for field in receipt["fields"] if field["fit_field"]}
        assert (sent["muscle_mass"], sent["bmi"]) == (36.5, 24.6)
        assert [(note["code"], note["text"]) for note in receipt["notes"]] == [
            ("height-of-person", "The height is the one configured for Ben."),
            ("skeletal-muscle", "Skeletal muscle is sent as Garmin's muscle, as configured for Ben."),
        ]
        assert receipt["status"] == "confirmed"
        without = function.post(
            "/", json={"measured_at": "2026-11-21T06:31:00Z", "weight": 81.4, "muscle mass": 63.2}
        ).json
        assert "muscle_mass" not in {field["fit_field"] for field in without["fields"]}
        assert [note["code"] for note in without["notes"]] == ["height-of-person", "muscle-left-out"]


def test_health_of_each_person(monkeypatch: pytest.MonkeyPatch, garmin: GarminStandIn, tmp_path: Path) -> None:
    """Health shows each person's sign-in, and is ready only if all are; the others can still weigh in."""
    with home(monkeypatch, garmin, tmp_path) as function:
        assert function.get("/health").status_code == 200
        (tmp_path / "tokens" / "ben.json").unlink()
        health = function.get("/health")
        assert health.status_code == 503
        assert {name: state["ready"] for name, state in health.json["delivery"]["people"].items()} == {
            "Anna": True,
            "Ben": False,
        }
        assert health.json["delivery"]["detail"].startswith("Ben: There is no Garmin token in ")
        assert health.json["delivery"]["detail"].endswith("Sign in once: weighbridge login --name ben.")
        # A person with a sign-in can still weigh in.
        results = function.post("/", json=[{"weight": 60, "person": "Anna"}, {"weight": 80, "person": "Ben"}])
        assert [result["status"] for result in results.json["results"]] == ["confirmed", 503]


def test_last_success_of_each_person(monkeypatch: pytest.MonkeyPatch, garmin: GarminStandIn, tmp_path: Path) -> None:
    """Health shows when each person's last reading arrived, also after a restart; without a key it does not."""
    key = "a-key-of-sixteen-letters"
    with home(monkeypatch, garmin, tmp_path, WEIGHBRIDGE_API_KEYS=f"home={key}") as function:
        sent = function.post("/", json={"weight": 60, "person": "Anna"}, headers={"X-API-Key": key})
        assert sent.json["status"] == "confirmed"
    with home(monkeypatch, garmin, tmp_path / "restarted", WEIGHBRIDGE_API_KEYS=f"home={key}",
              WEIGHBRIDGE_TOKENS=tmp_path / "tokens") as function:  # fmt: skip
        people = function.get("/health", headers={"X-API-Key": key}).json["delivery"]["people"]
        assert {name: "last_success_at" in state for name, state in people.items()} == {"Anna": True, "Ben": False}
        keyless = function.get("/health", local=False)
        assert keyless.status_code == 200
        assert "last_success_at" not in keyless.text


def test_names_need_a_key(monkeypatch: pytest.MonkeyPatch, garmin: GarminStandIn, tmp_path: Path) -> None:
    """Health shows the names of people only to a caller with a key."""
    key = "a-key-of-sixteen-letters"
    with home(monkeypatch, garmin, tmp_path, WEIGHBRIDGE_API_KEYS=f"home={key}") as function:
        assert "Anna" in function.get("/health", headers={"Authorization": f"Bearer {key}"}).text
        for missing in ((), ("ben",)):
            for token in missing:
                (tmp_path / "tokens" / f"{token}.json").unlink()
            said = function.get("/health", local=False).text.casefold()
            assert '"delivery"' in said
            assert "anna" not in said
            assert "ben" not in said.replace(str(tmp_path).casefold(), "")


def test_key_of_a_person(monkeypatch: pytest.MonkeyPatch, garmin: GarminStandIn, tmp_path: Path) -> None:
    """A key for one person sends, reads and deletes only that person's weigh-ins, however the person is found."""
    key = {"X-API-Key": "a-key-of-sixteen-letters"}
    with home(monkeypatch, garmin, tmp_path, WEIGHBRIDGE_API_KEYS="anna@anna=a-key-of-sixteen-letters") as function:
        readings = [{"weight": 60}, {"weight": 80}, {"weight": 61, "person": "Ben"}]
        results = function.post("/", json=readings, headers=key).json["results"]
        assert [result.get("type", result["status"]) for result in results] == [
            "confirmed",
            "urn:weighbridge:forbidden",
            "urn:weighbridge:forbidden",
        ]
        file = function.post("/fit", json={"weight": 80}, headers=key)
        assert file.status_code == 403
        (mine,) = function.get("/readings?person=anna", headers=key).json["readings"]
        for call in ("/readings?person=Ben", "/readings?person=ben"):
            assert function.get(call, headers=key).status_code == 403
        assert function.delete(f"/readings/{mine['id']}?person=Ben", headers=key).status_code == 403
        assert function.delete(f"/readings/{mine['id']}?person=Anna", headers=key).status_code == 204


def test_key_of_a_stranger(
    monkeypatch: pytest.MonkeyPatch, garmin: GarminStandIn, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A key for a person who is not configured stops the function; the log has no part of the key."""
    with home(monkeypatch, garmin, tmp_path, WEIGHBRIDGE_API_KEYS="guest@Carla=planted-planted-planted") as function:
        answer = function.post("/", json={"weight": 60})
        assert answer.status_code == 500
        said = capfd.readouterr().out
        assert "Anna, Ben" in said
        assert "planted" not in said + answer.text


def test_kept_files_are_apart(monkeypatch: pytest.MonkeyPatch, garmin: GarminStandIn, tmp_path: Path) -> None:
    """Kept files of two people are in different folders."""
    with home(monkeypatch, garmin, tmp_path, WEIGHBRIDGE_DELIVERY="folder") as function:
        for kg in (60, 80):
            assert function.post("/", json={"measured_at": "2026-11-20T06:31:00Z", "weight": kg}).status_code == 202
    assert [len(kept_files(tmp_path / "kept" / who)) for who in ("anna", "ben")] == [1, 1]


def test_no_guess_without_recent_weights(
    monkeypatch: pytest.MonkeyPatch, garmin: GarminStandIn, tmp_path: Path
) -> None:
    """If Garmin cannot give the recent weights, the reading fails and no one is guessed."""
    garmin.faults.add("weight/range", "503", times=None)
    with home(monkeypatch, garmin, tmp_path) as function:
        answer = function.post("/", json={"measured_at": "2026-11-20T06:31:00Z", "weight": 67})
        assert answer.status_code == 503
        assert garmin.uploads_received == 0


def test_missing_file(tmp_path: Path) -> None:
    """A missing file of people is named with its setting."""
    with pytest.raises(SettingsInvalid) as fault:
        compose(read_settings({"WEIGHBRIDGE_PEOPLE": str(tmp_path / "nobody.toml")}))
    assert str(fault.value) == "The file named by WEIGHBRIDGE_PEOPLE cannot be read: No such file or directory."
