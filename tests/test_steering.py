"""Keys that steer: none is ignored unseen, and nothing right is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.interpreting import ARRIVAL, errors, instant, notes, only_error, understood, values
from weighbridge.errors import ReadingRejected
from weighbridge.notes import Code
from weighbridge.reading import people as people_module
from weighbridge.reading.dialects import DIALECTS, TIMES, Role, is_missing
from weighbridge.reading.interpret import has_time
from weighbridge.reading.keys import meaning_of
from weighbridge.reading.people import Person, read_people
from weighbridge.reading.steering import EXCEPTED, PATTERNS, Question, questions_of

from .function_client import ROOT

PEOPLE = read_people((ROOT / "examples" / "people.toml").read_text())
ANNA, BEN = PEOPLE


# -- what callers really send ------------------------------------------------------------------------------

#: The rows of the facts about keys that steer: what came, and the right answer: values, an instant, or the key that
#: is refused.
ROWS: list[tuple[dict[str, object], dict[str, str] | str]] = [
    # when
    ({"weight": 90.5, "unix-timestamp": 1717050449}, "2024-05-30T06:27:29+00:00"),
    ({"weight": 81.4, "last_changed": "2026-11-20T07:12:33.456+00:00"}, "2026-11-20T07:12:33+00:00"),
    ({"weight": 81.4, "UTCtime": "2026-11-20T07:12:33Z", "unixtime": 1795158753}, "2026-11-20T07:12:33+00:00"),
    ({"weight": 81.4, "utc_time": "2026-11-20 07:12:33"}, "2026-11-20T07:12:33+00:00"),
    ({"weight": 81.4, "timestampGMT": 1795158753000}, "2026-11-20T07:12:33+00:00"),
    (
        {"weight": 81.4, "last_changed": "2026-11-20T07:12:33Z", "last_reported": "2026-11-21T07:12:33Z"},
        "2026-11-20T07:12:33+00:00",
    ),
    (
        {"weight": 81.4, "created_at": "2026-11-21T07:12:33Z", "timestamp": "2026-11-20T07:12:33Z"},
        "2026-11-20T07:12:33+00:00",
    ),
    ({"weight": 81.4, "date": "2026-11-20", "time": "07:12"}, "2026-11-20T06:12:00+00:00"),
    ({"weight": 81.4, "time": "07:12", "date": "2026-11-20"}, "2026-11-20T06:12:00+00:00"),
    (
        {"weight": 81.4, "date": "2026-11-20", "time": "07:12", "timezone": "Europe/Lisbon"},
        "2026-11-20T07:12:00+00:00",
    ),
    ({"weight": 81.4, "time": "2026-11-20 07:12", "utc_offset": "-05:00"}, "2026-11-20T12:12:00+00:00"),
    ({"weight": 81.4, "time": "2026-11-20T07:12Z", "timezone": "Europe/Lisbon"}, "2026-11-20T07:12:00+00:00"),
    ({"weight": 81.4, "time": "2026-11-20T07:12Z", "timezone": "CET"}, "2026-11-20T07:12:00+00:00"),
    ({"weight": 81.4, "date": "2026-11-20", "timestamp": "2026-11-20T07:12:33Z"}, "2026-11-20T07:12:33+00:00"),
    ({"weight": 81.4, "date": "2026-11-18", "timestamp": "2026-11-20T07:12:33Z"}, "date"),
    ({"weight": 81.4, "time": "2026-11-20 07:12", "timezone": "CET"}, "timezone"),
    ({"weight": 81.4, "time": "2026-11-20 07:12", "timezone": "UTC", "tz": "+01:00"}, "tz"),
    ({"weight": 81.4, "time": "07:12", "timezone": "UTC"}, "time"),
    ({"weight": 81.4, "last_changed": "2026-11-24T07:12:33Z"}, "last_changed"),
    ({"weight": 81.4, "tmie": "2026-11-20T07:12:33Z"}, "tmie"),
    ({"weight": 81.4, "measuretime_of_scale": 1795158753}, "measuretime_of_scale"),
    ({"weight": 81.4, "sync_date": "2026-11-20", "received_at": "2026-11-20T07:12:33Z"}, "sync_date"),
    ({"weight": 81.4, "ts_ms": 1795158753000}, "2026-11-20T07:12:33+00:00"),
    ({"weight": 81.4, "updated": "2026-11-20T07:12:33Z"}, "2026-11-20T07:12:33+00:00"),
    ({"weight": 81.4, "event_ts": 1795158753}, "event_ts"),
    ({"weight": 81.4, "dt": 1795158753}, "dt"),
    # whose
    ({"User": "Ben", "Weight": 60.0, "Date": "2026-11-20T07:12:33Z"}, {"weight_kg": "60", "person": "Ben"}),
    ({"weight": 60, "profile_id": 7}, {"weight_kg": "60", "person": "7"}),
    ({"weight": 60, "member": "Ben", "profile_id": 7}, {"weight_kg": "60", "person": "Ben"}),
    ({"weight": 60, "user_id": 3, "profile_id": 7}, {"weight_kg": "60", "person": "3"}),
    # in which unit
    ({"weight": 179.5, "unit_of_measurement": "lb"}, {"weight_kg": "81.41983"}),
    ({"weight": 179.5, "units": "Lbs"}, {"weight_kg": "81.41983"}),
    ({"weight": 179.5, "weightUnit": "pounds"}, {"weight_kg": "81.41983"}),
    ({"weight": 179.5, "weight_unit": 2}, {"weight_kg": "81.41983"}),
    ({"weight": 81.4, "weight_unit": "1"}, {"weight_kg": "81.4"}),
    ({"weight": 81.4, "units": "metric"}, {"weight_kg": "81.4"}),
    ({"weight": "179.5 lb", "weight_unit": 7}, {"weight_kg": "81.41983"}),
    ({"weight": 179.5, "weight_unit": 7}, "weight_unit"),
    ({"weight": 179.5, "unit": 2}, "unit"),
    ({"weight": 179.5, "units": "imperial"}, "units"),
    ({"weight": 179.5, "unit": "lb", "weight_unit": "kg"}, "weight_unit"),
    ({"weight": 179.5, "scaleUnits": "lb"}, "scaleUnits"),
    ({"weight": 81.4, "unit_system": "metric"}, {"weight_kg": "81.4"}),
    ({"weight": 179.5, "unit_system": "imperial"}, "unit_system"),
    ({"weight": 179.5, "isLbs": True}, "isLbs"),
    # whether at all
    ({"weight": 3, "stabilized": 0, "weight_removed": 0}, "stabilized"),
    ({"weight": 81.4, "stabilized": 1, "weight_removed": 0, "impedance_stabilized": 0}, {"weight_kg": "81.4"}),
    ({"weight": 81.4, "weight_removed": 1}, "weight_removed"),
    ({"weight": 81.4, "is_stable": "no"}, "is_stable"),
    ({"weight": 81.4, "valid": False}, "valid"),
    ({"weight": 81.4, "deleted": "TRUE"}, "deleted"),
    ({"weight": 81.4, "deleted_at": "2026-11-20"}, "deleted_at"),
    ({"weight": 81.4, "deleted_at": None}, {"weight_kg": "81.4"}),
    ({"weight": 81.4, "stable": "nearly"}, "stable"),
    ({"weight": 81.4, "stable": [True]}, "stable"),
    ({"weight": 81.4, "is_stabilised_flag": 1}, "is_stabilised_flag"),
    ({"weight": 81.4, "weighing_mode": "Person"}, {"weight_kg": "81.4"}),
    ({"weight": 81.4, "is_guest": True}, "is_guest"),
    ({"weight": 81.4, "upDate": "2026-11-20T07:12:33Z"}, "upDate"),
    ({"weight": 8.4, "weighing_mode": "object"}, "weighing_mode"),
    ({"weight": 8.4, "weighing_mode": "parcel"}, "weighing_mode"),
]


@pytest.mark.parametrize(("payload", "answer"), ROWS)
def test_rows_of_public_trackers(payload: dict[str, object], answer: dict[str, str] | str) -> None:
    """Each row of the facts is read right, or is refused under the key to blame."""
    if isinstance(answer, dict):
        assert values(payload) == answer
    elif answer[:4].isdecimal():
        assert instant(payload) == answer
        assert has_time(payload)
    else:
        assert only_error(payload).field == answer


@pytest.mark.parametrize(("yes", "no"), [(True, False), (1, 0), ("1", "0"), ("true", "False"), ("YES", "no"),
                                         ("on", "Off"), ("y", "n"), (1.0, 0.0), (Decimal(1), Decimal(0))])  # fmt: skip
def test_spellings_of_true_and_false(yes: object, no: object) -> None:
    """Every spelling of true and false is understood, for keys that must be true and for keys that must not."""
    assert values({"weight": 81.4, "stable": yes, "deleted": no}) == {"weight_kg": "81.4"}
    assert {error.field for error in errors({"weight": 81.4, "stable": no, "deleted": yes})} == {"stable", "deleted"}


def test_ranks_of_times() -> None:
    """A time is used only if there is none of a better rank, and then a note names it."""
    ranked = [
        next(key for words in DIALECTS.values() for key, role in words.items() if role is rank[0]) for rank in TIMES
    ]
    times = {key: f"2026-11-20T07:12:{40 - place}Z" for place, key in enumerate(ranked)}
    while times:
        best = next(iter(times))
        interpreted = understood({"weight": 81.4, **dict(reversed(times.items()))})
        assert interpreted.reading.measured_at.isoformat() == times[best].replace("Z", "+00:00")
        expected = [Code.TIME_OF_RECORD] if best != ranked[0] else []
        assert [code for code, _ in notes(interpreted)] == expected
        del times[best]


def test_zone_that_is_not_needed() -> None:
    """A time zone that is not understood is a note where the time has its own offset."""
    interpreted = understood({"weight": 81.4, "time": "2026-11-20T07:12Z", "timezone": "CET"})
    assert [(code, text.split("'")[1]) for code, text in notes(interpreted)] == [(Code.KEY_NOT_UNDERSTOOD, "timezone")]


def test_zone_of_the_reading_is_not_assumed() -> None:
    """No note says that a zone was assumed if the reading names it."""
    assert notes(understood({"weight": 81.4, "time": "2026-11-20 07:12", "timezone": "Europe/Lisbon"})) == []


def test_unit_question_needs_the_unit_of_the_weight() -> None:
    """An unknown key of a unit is a note if the weight has its unit, in its key or in its value."""
    for payload in ({"weight_kg": 81.4}, {"weight": "81.4 kg"}, {"weight": {"value": 81.4, "unit": "kg"}}):
        interpreted = understood({**payload, "scaleUnits": "lb"})
        assert (
            Code.KEY_NOT_UNDERSTOOD,
            "'scaleUnits' was not understood. It could say in which unit the weight is.",
        ) in (notes(interpreted))
    assert only_error({"weight": 81.4, "scaleUnits": "lb"}).message == (
        "This key could say in which unit the weight is, and is not known. "
        "Send the weight with its unit, such as '81.4 kg', or leave this key out."
    )


# -- whose, with several people ----------------------------------------------------------------------------


def person_of(payload: dict[str, object], people: Sequence[Person] = PEOPLE) -> str:
    return people_module.person_of(people, understood(payload), lambda *_: ()).name


def test_person_of_a_known_key() -> None:
    """The person is the one of the key, although the weight fits another."""
    assert person_of({"User": "Ben", "weight": 60}) == "Ben"


def test_name_of_a_device_or_a_person() -> None:
    """A `name` is the person if someone has that name; otherwise it is the name of a device and changes nothing."""
    assert person_of({"name": "Ben", "weight": 60}) == "Ben"
    assert person_of({"name": "MIBFS", "weight": 60}) == "Anna"
    assert person_of({"name": "Ben", "user": "Anna", "weight": 80}) == "Anna"
    assert understood({"name": "Ben", "weight": 60}).reading.person is None


@pytest.mark.parametrize("key", ["profile_number", "userx", "scalePersonSlot", "memberNo"])
def test_person_key_that_is_not_known(key: str) -> None:
    """With several people, a key that could name one and is not known refuses the reading; with one, it is a note."""
    payload: dict[str, object] = {"weight": 60, key: 2}
    with pytest.raises(ReadingRejected) as caught:
        person_of(payload)
    assert [error.field for error in caught.value.errors] == [key]
    assert person_of(payload, [ANNA]) == "Anna"
    assert person_of(payload | {"person": "Anna"}) == "Anna"
    assert (Code.KEY_NOT_UNDERSTOOD, f"{key!r} was not understood. It could say whose weigh-in it is.") in notes(
        understood(payload)
    )


@pytest.mark.parametrize(
    ("key", "question"),
    [("Zeitstempel der Waage", Question.TIME), ("fecha_de_registro", Question.TIME), ("上次测量时间", Question.TIME),
     ("Benutzername der App", Question.PERSON), ("Użytkownik wagi", Question.PERSON), ("ユーザー番号", Question.PERSON),
     ("Einheit der Waage", Question.UNIT), ("jednotka_vahy", Question.UNIT), ("显示单位", Question.UNIT),
     ("ist ungültig", Question.VALIDITY), ("eliminado_por", Question.VALIDITY), ("是否删除", Question.VALIDITY)],
)  # fmt: skip
def test_other_languages(key: str, question: Question) -> None:
    """A key in another language that could steer is not ignored, with and without its accents."""
    assert question in questions_of(key)


# -- patterns ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("question", Question)
def test_excepted_words_are_needed(question: Question) -> None:
    """Each excepted word would be found by a pattern of its question, in each way to write it."""
    for words in EXCEPTED[question].split():
        for key in (
            words,
            words.upper(),
            words.replace("_", " "),
            words.replace("_", ""),
            words.title().replace("_", ""),
        ):
            assert question not in questions_of(key), key
            assert question in questions_of(f"{key}_{'time' if question is Question.TIME else _steering(question)}")


def _steering(question: Question) -> str:
    return {Question.PERSON: "user", Question.UNIT: "unit", Question.VALIDITY: "stable"}[question]


INNOCENT = [
    "uptime", "upTime", "date_of_birth", "dateOfBirth", "birthdate", "user_agent", "userAgent", "updated_by", "update",
    "unit_price", "timeout", "sentiment", "mass_table", "isTablet", "fat_est_amp", "candidate", "personal_best",
    "community", "last_name_weight", "impedance_stabilized", "response_time_ms", "fat mass", "heart rate", "is_owned",
    "runtime", "left_arm", "segment", "estimated", "at", "on", "record_id", "athlete_mode",
    "measure", "power_on", "battery",
    "Taille", "Zieldatum", "Bauchumfang", "graisse du bras", "cintura", "obwód talii", "腰围", "ウエスト",
]  # fmt: skip


@pytest.mark.parametrize("key", INNOCENT)
def test_innocent_keys(key: str) -> None:
    """A key that only has the letters of a pattern could not steer."""
    assert set(questions_of(key)) <= ({Question.PERSON} if "name" in key else set())


def glob(pattern: str) -> st.SearchStrategy[str]:
    """Keys of a pattern: `*` is any letters, in any case, with or without a separator."""
    word = pattern.strip("*_")
    affix = st.text("abcdefghijklmnopqrsuvwxyz", max_size=5)
    before = affix if pattern.startswith("*") and not pattern.startswith("*_") else st.just("")
    first = st.from_regex(r"[a-z]{1,5}[_ -]", fullmatch=True) if pattern.startswith("*_") else st.just("")
    after = affix if pattern.endswith("*") else st.just("")
    tail = st.sampled_from(["", "_id", " x", "-2", "_of_scale"]) if pattern.endswith("*") else st.just("")
    styles = st.sampled_from([str.lower, str.upper, str.capitalize, str])
    return st.builds(lambda a, b, c, d, style: style(f"{a}{b}{word}{c}{d}"), first, before, after, tail, styles)


STEERING_KEY = st.one_of(
    [
        glob(pattern).map(lambda key, question=question: (question, key))  # type: ignore[misc]
        for question, patterns in PATTERNS.items()
        for pattern in patterns.split()
    ]
)
WEIGHT = st.sampled_from(
    [
        {"weight": 81.4},
        {"weight": "81.4"},
        {"weight": "179.5 lb"},
        {"weight_kg": 81.4},
        {"Weight": 81.4, "unit": "kg"},
    ]
)
REST = st.fixed_dictionaries(
    {},
    optional={
        "time": st.just("2026-11-20T07:12:33Z"),
        "last_changed": st.just("2026-11-20T07:12:34Z"),
        "received_at": st.just("2026-11-20T07:12:35Z"),
        "user_name": st.just("Ben"),
        "stabilized": st.just(1),
        "body fat": st.just(18.2),
        "mood": st.just("fine"),
    },
)
VALUE = st.one_of(
    st.integers(), st.booleans(), st.text(max_size=12), st.floats(allow_nan=False),
    st.sampled_from(["2026-11-20T07:12:33Z", 1795158753, "Anna", "lb", "kg", "false", "07:12", [1], {"a": 1}]),
)  # fmt: skip


@example({"weight": 81.4}, {}, (Question.TIME, "unix time stamp of scale"), 1717050449)
@example({"weight": 81.4}, {}, (Question.VALIDITY, "weightRemovedFlag"), 1)
@given(WEIGHT, REST, STEERING_KEY, VALUE)
def test_no_steering_key_is_ignored(
    weight: dict[str, object], rest: dict[str, object], steering: tuple[Question, str], value: object
) -> None:
    """A reading with an unknown key that could steer is refused, or something else answers and a note names the key."""
    question, key = steering
    if meaning_of(key) is not None or is_missing(value) or question not in questions_of(key):
        # A known key is tested above. Random letters may make an excepted word.
        assert meaning_of(key) is not None or is_missing(value) or _has_excepted(question, key)
        return
    payload = weight | rest | {key: value}
    try:
        interpreted = understood(payload)
    except ReadingRejected as fault:
        assert key in [error.field for error in fault.errors]
        return
    assert key in interpreted.unknown
    assert any(code is Code.KEY_NOT_UNDERSTOOD and repr(key) in text for code, text in notes(interpreted))
    for each in questions_of(key):
        assert each is not Question.VALIDITY
        assert each is not Question.TIME or {"time", "last_changed"} & rest.keys()
        assert (
            each is not Question.UNIT or weight.get("weight") == "179.5 lb" or "weight_kg" in weight or "unit" in weight
        )
    if Question.PERSON in questions_of(key):
        assert bool(interpreted.unclear_person) is ("user_name" not in rest)


def _has_excepted(question: Question, key: str) -> bool:
    letters = "".join(filter(str.isalnum, key.casefold()))
    return any(words.replace("_", "") in letters for words in EXCEPTED[question].split())


@given(STEERING_KEY, st.sampled_from([None, "", "unknown", "unavailable", "None", [], {}]))
def test_missing_value_steers_nothing(steering: tuple[Question, str], value: object) -> None:
    """A key that could steer and has no value changes nothing."""
    key = steering[1]
    if meaning_of(key) is None:
        assert understood({"weight": 81.4, key: value}).reading == understood({"weight": 81.4}).reading


# -- nothing right is refused --------------------------------------------------------------------------------

#: Payloads of public programs, with all that they send next to the values.
PUBLIC: dict[str, str] = {
    "Theengs": """{"id": "AA:BB:CC", "mac_type": 0, "adv_type": 0, "name": "MIBFS", "rssi": -71, "distance": 2.1,
        "servicedata": "02a6e7", "servicedatauuid": "0x181b", "manufacturerdata": "5701", "brand": "Xiaomi",
        "model": "Mi_Body_Composition_Scale", "model_id": "XMTZC02HM/XMTZC05HM", "type": "SCALE", "cidc": false,
        "acts": true, "weighing_mode": "person", "unit": "kg", "weight": 81.4, "impedance": 480}""",
    "OpenMQTTGateway": """{"id": "AA:BB:CC", "name": "MI SCALE2", "rssi": -58, "model": "XMTZC04HM", "weight": 60.45,
        "unit": "kg", "UTCtime": "2026-11-20T07:12:33Z", "unixtime": 1795158753, "uptime": 3521}""",
    "Tasmota": """{"mac": "70879e568c44", "weight_removed": 0, "stabilized": 1, "weight_unit": "kg", "weight": 81.4,
        "RSSI": -54, "Time": "2026-11-20T14:12:35"}""",
    "Home Assistant": """{"entity_id": "sensor.scale_weight", "weight": "81.4", "unit_of_measurement": "kg",
        "state_class": "measurement", "device_class": "weight", "icon": "mdi:scale", "friendly_name": "Scale weight",
        "last_changed": "2026-11-20T07:12:33.123456+00:00", "last_updated": "2026-11-20T07:12:33.5+00:00",
        "last_reported": "2026-11-20T07:12:36.1+00:00", "last_reset": null, "supported_features": 0,
        "context": {"id": "01J", "parent_id": null, "user_id": null}, "restored": true, "assumed_state": false}""",
    "Zigbee2MQTT": """{"weight": 81.4, "battery": 90, "linkquality": 80, "voltage": 2900, "update_available": false,
        "update": {"state": "idle", "installed_version": 1}, "last_seen": "2026-11-20T07:12:33+00:00"}""",
    "ESPHome": """{"weight": 81.4, "impedance": 480, "uptime": 3521, "wifi_signal": -60, "update_interval": 60}""",
    "xiaomi_mi_scale": """{"weight": 64.6, "weight_unit": "kg", "bmi": 22.9, "basal_metabolism": 1246.6,
        "visceral_fat": 4.6, "lean_body_mass": 52.8, "body_fat": 33.3, "water": 47.6, "bone_mass": 2.58,
        "muscle_mass": 40.5, "protein": 15.4, "body_type": "Balanced", "metabolic_age": 36,
        "timestamp": "2026-11-20T07:12:33.123456"}""",
    "bodymiscale": """{"problem": "none", "height": 178, "gender": "male", "age": 38, "weight": 81.4, "bmi": 25.7,
        "impedance": 480, "basal_metabolism": 1622, "visceral_fat": 8, "ideal": 68.6, "bmi_label": "overweight",
        "lean_body_mass": 61.6, "body_fat": 25.2, "water": 51.3, "bone_mass": 3.1, "muscle_mass": 57.75,
        "protein": 19.7, "body_type": "balanced", "metabolic_age": 37, "sensors": {"weight": "sensor.a"},
        "last_measurement_time": "2026-11-20T07:12:33+00:00", "friendly_name": "Anna", "icon": "mdi:human"}""",
    "ble-scale-sync": """{"user_name": "Ben", "user_slug": "ben", "weight": 81.4, "impedance": 480, "bmi": 25.7,
        "bodyFatPercent": 18.2, "waterPercent": 56.4, "boneMass": 3.4, "muscleMass": 63.2, "visceralFat": 7,
        "physiqueRating": 5, "bmr": 1812, "metabolicAge": 38, "timestamp": "2026-11-20T07:12:33.123Z"}""",
    "SmartScaleConnect": """{"Date": "2026-11-20T07:12:33Z", "Weight": 81.4, "BMI": 25.7, "BodyFat": 18.2,
        "BodyWater": 56.4, "BoneMass": 3.4, "MetabolicAge": 38, "MuscleMass": 63.2, "PhysiqueRating": 5,
        "VisceralFat": 7, "BasalMetabolism": 1812, "BodyScore": 80, "HeartRate": 61, "User": "Ben",
        "Source": "zepp"}""",
    "Fitdays cloud": """{"measured_time": 1795158753, "weight_g": 81400, "bfr": 18.2, "sfr": 16.1, "uvi": 7,
        "rom": 77.6, "rosm": 44.3, "bm": 3.4, "vwc": 56.4, "pp": 21.3, "bmr": 1812, "bodyage": 38, "hr": 0,
        "suid": 1207, "data_id": "9f1c", "is_deleted": 0, "is_weight_only": 0, "adc": 480}""",
    "Garmin Connect": """{"samplePk": 1749996902851, "calendarDate": "2026-11-20", "weight": 81.4, "bmi": 25.7,
        "bodyFat": 18.2, "bodyWater": 56.4, "boneMass": 3.4, "muscleMass": 63.2, "physiqueRating": null,
        "visceralFat": null, "metabolicAge": null, "sourceType": "INDEX_SCALE", "timestampGMT": 1795158753000,
        "weightDelta": 0.2}""",
    "garmin_connect": """{"weight": 81.4, "timestamp": "2026-11-20T07:12:33Z", "bmi": 25.7, "percent_fat": 18.2,
        "percent_hydration": 56.4, "visceral_fat_mass": 1.2, "bone_mass": 3.4, "muscle_mass": 63.2, "basal_met": 1812,
        "active_met": 2540, "physique_rating": 5, "metabolic_age": 38, "visceral_fat_rating": 7,
        "entity_id": "sensor.garmin"}""",
    "Renpho": """{"id": 1, "time_stamp": 1795158753, "weight": 81.4, "weight_unit": 1, "bmi": 25.7, "bodyfat": 18.2,
        "water": 56.4, "bmr": 1812, "bodyage": 38, "visfat": 7, "subfat": 16.1, "protein": 17.9, "person_type": 0,
        "gender": 1, "birthday": "1988-03-01", "height": 178, "height_unit": "cm", "user_id": "77",
        "scale_name": "R-A012", "created_at": "2026-11-20 07:12:40+00:00",
        "updated_at": "2026-11-20 07:12:41+00:00"}""",
    "Zepp Life": """{"time": "2026-11-20 07:12:33+0000", "weight": 61.6, "height": 170.0, "bmi": 21.3, "fatRate": 35.5,
        "bodyWaterRate": 44.2, "boneMass": 2.4, "metabolism": 1233.0, "muscleRate": 37.29, "visceralFat": 7.0}""",
    "MacroDroid": """{"weight": 81.4, "date": "2026-11-20", "time": "07:12", "timezone": "Europe/Berlin"}""",
    "a web form": """{"weight": "81,4 kg", "user_agent": "Mozilla/5.0", "date_of_birth": "1988-03-01",
        "comment": ""}""",
}


@pytest.mark.parametrize("name", PUBLIC)
def test_public_payloads(name: str) -> None:
    """Each public payload is read: nothing right is refused."""
    payload = json.loads(PUBLIC[name], parse_float=Decimal)
    interpreted = understood(payload)
    assert interpreted.reading.weight_kg in (Decimal("81.4"), Decimal("61.6"), Decimal("64.6"), Decimal("60.45"))
    assert ARRIVAL in notes(interpreted) or interpreted.reading.measured_at.date().isoformat() == "2026-11-20"
    assert not interpreted.unclear_person


def test_known_steering_keys_are_steering() -> None:
    """Most known words of a role would be found by the patterns: the patterns are what these words have in common."""
    roles = {role for rank in TIMES for role in rank} | {
        Role.PERSON,
        Role.PERSON_ID,
        Role.WEIGHT_UNIT,
        Role.GOOD,
        Role.BAD,
    }
    known = {key for words in DIALECTS.values() for key, meaning in words.items() if meaning in roles}
    missed = {key for key in known if not questions_of(key)}
    assert missed <= {"guest", "is_guest", "guest_mode", "utc", "unix", "uid", "suid", "tz", "tz_name", "zone"}


def test_long_key_that_could_steer() -> None:
    """A key that is too long to be known could still steer."""
    assert only_error({"weight": 81.4, "x" * 500 + "_timestamp": 1}).field == "x" * 100


def test_future_and_past_bound_every_rank() -> None:
    """A time of any rank is refused if it is in the future or before the year 2000."""
    for key in ("time", "utc_time", "last_changed", "created_at"):
        for wrong in (datetime(1999, 12, 31, tzinfo=UTC), datetime.now(UTC) + timedelta(days=3650)):
            assert only_error({"weight": 81.4, key: wrong.isoformat()}).field == key
