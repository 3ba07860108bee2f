"""Whole bodies of other programs: what each becomes, that nothing in it is lost, and what it costs."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.interpreting import BERLIN, NOW, errors, instant, parsed, understood, values
from weighbridge.errors import CallerFault, ReadingRejected
from weighbridge.reading.bodies import SHAPES, Action, Item, unpack, with_topic
from weighbridge.reading.interpret import interpret

EXAMPLES = Path(__file__).parent.parent / "examples"
AT = "2026-11-21T05:31:00+00:00"

#: Of the person of the examples.
WEIGHT = {"weight_kg": "64.6"}
FAT = WEIGHT | {"body_fat_percent": "24.3"}
ALL = FAT | {"bone_mass_kg": "2.5", "muscle_mass_kg": "46.4"}

#: Example -> the instant and the values of each weigh-in in it.
BODIES: Mapping[str, list[tuple[str, dict[str, str]]]] = {
    "openscale_webhook.json": [
        (
            AT,
            FAT
            | {"body_water_percent": "54.1", "muscle_mass_kg": "46.4", "visceral_fat_rating": "4.5"}
            | {"bmi": "22.9", "person": "Anna"},
        )
    ],
    "health_auto_export.json": [
        (AT, FAT | {"fat_free_mass_kg": "48.9", "bmi": "22.9"}),
        ("2026-11-22T05:40:12+00:00", {"weight_kg": "64.4", "body_fat_percent": "24.2"}),
    ],
    "withings.json": [
        (
            AT,
            ALL
            | {
                "fat_mass_kg": "15.7",
                "fat_free_mass_kg": "48.9",
                "body_water_kg": "34.9",
                "visceral_fat_rating": "4.5",
            },
        )
    ],
    "garmin.json": [
        (
            AT,
            ALL
            | {"body_water_percent": "54.1", "visceral_fat_rating": "5", "bmi": "22.899999618530273"}
            | {"metabolic_age_years": "32"},
        )
    ],
    "zepp.json": [
        (
            AT,
            ALL
            | {"body_water_percent": "54.1", "visceral_fat_rating": "4.5", "bmi": "22.9", "height_cm": "168"}
            | {"basal_metabolic_rate_kcal": "1426", "metabolic_age_years": "32", "person": "Anna"},
        )
    ],
    "tasmota.json": [(AT, WEIGHT)],
    "home_assistant_state.json": [("2026-11-21T05:31:02+00:00", WEIGHT)],
    "hc_webhook.json": [
        (AT, FAT | {"bone_mass_kg": "2.5", "body_water_kg": "34.9", "basal_metabolic_rate_kcal": "1426.1"})
    ],
}


def example(name: str) -> dict[str, Any]:
    return parsed((EXAMPLES / name).read_text(encoding="utf-8"))


def only(document: object) -> Item:
    """The one item of a document."""
    (item,) = unpack(document).items
    return item


def payload(document: object) -> dict[str, Any]:
    """The payload of the one weigh-in of a document."""
    item = only(document)
    assert item.action is Action.WEIGH_IN, item
    assert isinstance(item.payload, dict)
    return item.payload


# -- the table -----------------------------------------------------------------------------------------------


def test_every_shape_has_an_example() -> None:
    """Each row of `SHAPES` has an example, and each example a row."""
    assert {shape.example for shape in SHAPES} == BODIES.keys()


@pytest.mark.parametrize("name", BODIES)
def test_body(name: str) -> None:
    """The example of each kind of body is read as these weigh-ins."""
    unpacked = unpack(example(name))
    assert unpacked.many == (len(BODIES[name]) > 1)
    assert [item.action for item in unpacked.items] == [Action.WEIGH_IN] * len(BODIES[name])
    found = [(instant(item.payload), values(item.payload)) for item in unpacked.items]
    assert [at for at, _ in found] == [at for at, _ in BODIES[name]]
    assert [said for _, said in found] == [said for _, said in BODIES[name]]


@pytest.mark.parametrize("name", BODIES)
def test_body_is_of_its_shape(name: str) -> None:
    """No other row takes the example of a row."""
    assert [shape.example for shape in SHAPES if shape.fits(example(name))] == [name]


@pytest.mark.parametrize("name", [*BODIES, "theengs.json", "apple_shortcut.json"])
def test_items_are_stable(name: str) -> None:
    """An item's payload, unpacked again, is that item: a caller may store it and send it alone."""
    for item in unpack(example(name)).items:
        assert unpack(item.payload).items == (item,)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.json")), ids=lambda path: path.name)
def test_plain_readings_stay(path: Path) -> None:
    """A plain reading is one item, as it is."""
    document = example(path.name)
    if path.name not in BODIES:
        assert only(document) == Item(document)


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize(("key", "value"), [("mood", "fine"), ("person", "Ben"), ("taken on the", "moon")])
def test_key_beside_the_body(name: str, key: str, value: str) -> None:
    """A key next to the parts of a body goes to each weigh-in in it."""
    document = example(name)
    if name == "home_assistant_state.json":
        document = {"new_state": document}
    for item in unpack({**document, key: value}).items:
        assert isinstance(item.payload, dict)
        assert item.payload[key] == value


def test_weight_at_the_top_is_a_reading() -> None:
    """A body with a weight at its top is a plain reading, whatever is nested in it."""
    document = {"weight": 81.4, "data": {"metrics": []}}
    assert only(document) == Item(document)


# -- openScale-sync ------------------------------------------------------------------------------------------


def test_openscale_values_count() -> None:
    """The value list counts, with its units, and not the numbers that were derived from it."""
    document = {"event": "insert", "date": AT, "weight": 81.4, "muscle": 77.6, "fat": 0}
    document["values"] = [
        {"key": "weight", "unit": "lb", "value": 179.5},
        {"key": "muscle", "unit": "kg", "value": 61.2},
        {"key": "body_fat", "unit": "%", "value": 18.2},
        {"key": "CUSTOM", "typeId": 7, "name": "Mood", "unit": "", "value": 3},
    ]
    found = payload(document)
    assert values(found) == {"weight_kg": "81.419830", "muscle_mass_kg": "61.2", "body_fat_percent": "18.2"} | {
        "weight_kg": values({"weight": "179.5 lb"})["weight_kg"]
    }
    assert understood(found).unknown == ("custom_7",)


def test_openscale_unknown_unit_is_refused() -> None:
    """A unit that is not known is not left out: the value is refused."""
    found = payload({"event": "insert", "date": AT, "values": [{"key": "weight", "unit": "oz", "value": 2871}]})
    assert [error.field for error in errors(found)] == ["weight"]


def test_openscale_batch() -> None:
    """A batch is a list of weigh-ins, and its answer is a list."""
    rows = [{"date": AT, "weight": 64.6}, {"date": "2026-11-22T05:31:00Z", "weight": 64.4}]
    unpacked = unpack({"event": "insert", "measurements": rows, "username": "Anna"})
    assert unpacked.many
    assert [values(item.payload)["person"] for item in unpacked.items] == ["Anna", "Anna"]


@pytest.mark.parametrize(("event", "action"), [("update", Action.REPLACE), ("delete", Action.TAKE_BACK)])
def test_openscale_change(event: str, action: Action) -> None:
    """An update replaces the weigh-in at its instant, and a deletion takes it back, alone or in a batch."""
    row = {"userId": 1, "date": AT} | ({"weight": 64.6} if event == "update" else {})
    for item in (only({"event": event, **row}), only({"event": event, "measurements": [row]})):
        assert item == Item({**row, "event": event}, action)
        assert only(item.payload) == item


def test_openscale_deletion_needs_a_time() -> None:
    """A deletion without a time is refused: it would delete whatever is there at the time of arrival."""
    with pytest.raises(ReadingRejected) as refused:
        unpack({"event": "delete", "userId": 1})
    assert refused.value.errors[0].field == "date"


@pytest.mark.parametrize(
    "document",
    [
        {"event": "test"},
        {"event": "clear", "userId": 1},
        {"event": "history"},
        {"event": "history", "measurements": []},
        {"event": "last"},
    ],
    ids=str,
)
def test_openscale_no_weigh_in(document: dict[str, object]) -> None:
    """A test, a clearing and an empty list are answered with a sentence."""
    item = only(document)
    assert item.action is Action.NOTHING
    assert item.text.endswith(".")
    assert only(item.payload) == item


def test_openscale_history_with_values() -> None:
    """A history that carries values is a list of weigh-ins."""
    document = {"event": "history", "measurements": [{"date": AT, "weight": 64.6}]}
    assert values(payload(document)) == WEIGHT


@pytest.mark.parametrize("event", ["", "removed", "state_changed"])
def test_unknown_event_is_refused(event: str) -> None:
    """An event that is not known may mean anything, so it is refused with the events that are known."""
    with pytest.raises(ReadingRejected) as refused:
        unpack({"event": event, "weight": 64.6})
    (error,) = refused.value.errors
    assert error.field == "event"
    assert "insert, " in error.message


@pytest.mark.parametrize(
    ("topic", "action"),
    [
        ("openScaleSync/measurements/insert", Action.WEIGH_IN),
        ("openScaleSync/1/measurements/update", Action.REPLACE),
        ("openScaleSync/measurements/delete", Action.TAKE_BACK),
        ("openScaleSync/measurements/clear", Action.NOTHING),
        ("scales/bathroom", Action.WEIGH_IN),
    ],
)
def test_openscale_event_in_the_topic(topic: str, action: Action) -> None:
    """Over MQTT, the topic says the event."""
    document: object = True if topic.endswith("clear") else {"dateTime": "2026-11-21T06:31+0100", "weight": 64.6}
    assert only(with_topic(topic, document)).action is action


# -- the stores of phones --------------------------------------------------------------------------------------


def apple(**metrics: list[tuple[str, float, str]]) -> dict[str, Any]:
    """A body of Health Auto Export: metric -> (time on 21 November 2026 in UTC, value, app)."""
    units = {"body_fat_percentage": "%", "body_mass_index": "count", "height": "cm", "step_count": "count"}
    return {
        "data": {
            "metrics": [
                {
                    "name": name,
                    "units": units.get(name, "kg"),
                    "data": [{"date": f"2026-11-21 {at} +0000", "qty": qty, "source": app} for at, qty, app in rows],
                }
                for name, rows in metrics.items()
            ]
        }
    }


@pytest.mark.parametrize("bare_first", [True, False])
def test_fuller_of_two_apps(bare_first: bool) -> None:
    """Of two apps at one instant, the one with more values counts; the weight of the other is named."""
    weights = [("05:31:00", 64.5, "A bare app"), ("05:31:00", 64.6, "Fitdays")]
    found = payload(
        apple(
            weight_body_mass=weights if bare_first else weights[::-1],
            body_fat_percentage=[("05:31:00", 24.3, "Fitdays")],
        )
    )
    assert values(found) == FAT
    assert understood(found).unknown == ("weight_kg of A bare app",)


def test_two_apps_are_joined() -> None:
    """Two apps that agree on the weight at one instant are one weigh-in with the values of both."""
    body = apple(
        weight_body_mass=[("05:31:00", 64.6, "A"), ("05:31:00", 64.6, "B")],
        body_fat_percentage=[("05:31:00", 24.3, "A")],
        lean_body_mass=[("05:31:00", 48.9, "B")],
    )
    assert values(payload(body)) == FAT | {"fat_free_mass_kg": "48.9"}


def test_two_weigh_ins_at_one_instant() -> None:
    """Two weights that cannot be of one weigh-in are two weigh-ins."""
    body = apple(
        weight_body_mass=[("05:31:00", 64.6, "A"), ("05:31:00", 81.4, "B")],
        body_fat_percentage=[("05:31:00", 24.3, "A")],
    )
    assert [values(item.payload) for item in unpack(body).items] == [FAT, {"weight_kg": "81.4"}]


@pytest.mark.parametrize(("at", "joined"), [("05:31:59", True), ("05:30:00", True), ("05:32:01", False)])
def test_value_near_its_weight(at: str, joined: bool) -> None:
    """A value within a minute of the only weight there belongs to it."""
    body = apple(weight_body_mass=[("05:31:00", 64.6, "A")], body_fat_percentage=[(at, 24.3, "A")])
    first, *others = unpack(body).items
    assert values(first.payload) == (FAT if joined else WEIGHT)
    assert [[error.field for error in errors(item.payload)] for item in others] == ([] if joined else [["weight"]])


def test_value_near_two_weights() -> None:
    """A value near two weights belongs to neither, and is a problem of its own."""
    body = apple(
        weight_body_mass=[("05:31:00", 64.6, "A"), ("05:31:40", 64.6, "A")],
        body_fat_percentage=[("05:31:20", 24.3, "A")],
    )
    *weigh_ins, alone = unpack(body).items
    assert [values(item.payload) for item in weigh_ins] == [WEIGHT, WEIGHT]
    assert errors(alone.payload)


def test_height_apart_from_any_weigh_in() -> None:
    """A height that was typed once makes no weigh-in and no problem. It is named."""
    body = apple(weight_body_mass=[("05:31:00", 64.6, "A")], height=[("01:00:00", 168, "A")])
    assert understood(payload(body)).unknown == ("height_cm alone",)


@pytest.mark.parametrize(
    "document",
    [
        apple(step_count=[("05:00:00", 512, "iPhone")]),
        apple(height=[("01:00:00", 168, "A")]),
        {"data": {"metrics": []}},
        {"data": {"workouts": [{"name": "Walking"}]}},
        {"timestamp": AT, "app_version": "1", "steps": [{"count": 1, "start_time": AT, "end_time": AT}]},
    ],
    ids=["steps", "height", "empty", "workouts", "steps of Android"],
)
def test_no_weight_in_the_body(document: dict[str, object]) -> None:
    """An app that also sends steps gets a plain answer, not a problem."""
    item = only(document)
    assert item.action is Action.NOTHING
    assert item.text.startswith("There is no weight in it")


def test_pounds_of_apple_health() -> None:
    """The unit of a metric counts."""
    body = apple(weight_body_mass=[("05:31:00", 179.5, "A")])
    body["data"]["metrics"][0]["units"] = "lb"
    assert values(payload(body)) == values({"weight": "179.5 lb"})


def test_time_of_an_export_is_needed() -> None:
    """A sample without a time is refused: an export does not happen when somebody steps on the scale."""
    body = apple(weight_body_mass=[("05:31:00", 64.6, "A")])
    del body["data"]["metrics"][0]["data"][0]["date"]
    assert [error.field for error in errors(payload(body))] == ["measured_at"]


def test_other_forms_of_hc_webhook() -> None:
    """The two other forms of HC Webhook, camelCase and one list of records, say the same."""
    document = example("hc_webhook.json")
    camel = {"bodyFat": "body_fat", "boneMass": "bone_mass", "bodyWaterMass": "body_water_mass"} | {
        "basalMetabolicRate": "basal_metabolic_rate",
        "weight": "weight",
    }
    of_camel = {"timestamp": AT, "appVersion": "1"} | {new: document[old] for new, old in camel.items()}
    records = [{"type": new, **row} for new, old in camel.items() for row in document[old]]
    of_records = {"type": "health_data.synced", "timestamp": AT, "data": {"appVersion": "1", "records": records}}
    expected = values(payload(document))
    assert values(payload(of_camel)) == expected
    assert values(payload(of_records)) == expected


def test_test_of_hc_webhook() -> None:
    """The app's test button sends made-up values, which never become a weigh-in."""
    assert only(example("hc_webhook.json") | {"test": True}).action is Action.NOTHING


def test_records_of_an_unknown_unit() -> None:
    """A record whose unit is not known is not taken for kg."""
    found = unpack({"weight": [{"ounces": 2278.7, "time": AT}]}).items[0].payload
    with pytest.raises(ReadingRejected):
        understood(found)


# -- accounts ----------------------------------------------------------------------------------------------


def group(*measures: tuple[int, int, int], **others: object) -> dict[str, Any]:
    """A group of Withings: (type, value, exponent)."""
    rows = [{"type": kind, "value": value, "unit": exponent} for kind, value, exponent in measures]
    return {"date": 1795239060, "measures": rows, **others}


def test_group_of_withings() -> None:
    """One group is one weigh-in; other measurements in it are named."""
    interpreted = understood(payload(group((1, 64600, -3), (6, 243, -1), (155, 41, 0))))
    assert {name: str(value) for name, value in vars(interpreted.reading).items() if name in FAT} == FAT
    assert interpreted.unknown == ("vascular age",)


def test_goal_of_withings() -> None:
    """A goal is never a weigh-in."""
    item = only(group((1, 60, 0), category=2))
    assert item.action is Action.NOTHING
    assert "goals" in item.text


def test_ambiguous_person_of_withings() -> None:
    """A weight of which the scale does not know whose it is, is refused."""
    assert [error.field for error in errors(payload(group((1, 64600, -3), attrib=1)))] == ["problem"]


def test_blood_pressure_of_withings() -> None:
    """A group without a weight makes no weigh-in; next to one, it is named."""
    assert only(group((9, 80, 0), (10, 120, 0))).action is Action.NOTHING
    both = {"status": 0, "body": {"measuregrps": [group((10, 120, 0)), group((1, 64600, -3))]}}
    assert payload(both)["groups without a weight"] == 1


def test_error_of_withings() -> None:
    """The answer to a failed call is refused."""
    with pytest.raises(ReadingRejected):
        unpack({"status": 401, "body": {}, "measuregrps": []})


ENTRY = {"samplePk": 1, "timestampGMT": 1795239060000, "date": 1795242660000, "weight": 64600.0, "bodyFat": 24.3}


@pytest.mark.parametrize(
    "document",
    [
        ENTRY,
        {"dateWeightList": [ENTRY]},
        {"dailyWeightSummaries": [{"summaryDate": "2026-11-21", "allWeightMetrics": [ENTRY]}]},
        {"dailyWeightSummaries": [{"summaryDate": "2026-11-21", "allWeightMetrics": [], "latestWeight": ENTRY}]},
        {"allWeightMetrics": [ENTRY]},
        {
            "bodyComps": [
                {"weightInGrams": 64600, "bodyFatInPercent": 24.3, "measurementTimeInSeconds": 1795239060}
                | {"measurementTimeOffsetInSeconds": 3600}
            ]
        },
    ],
    ids=["entry", "list", "days", "latest", "metrics", "Health API"],
)
def test_forms_of_garmin(document: dict[str, object]) -> None:
    """Garmin's entries are in grams, and their instant is the one in UTC, in each form."""
    found = payload(document)
    assert values(found) == FAT
    assert instant(found) == AT


def test_garmin_without_an_instant() -> None:
    """Garmin's local time alone does not give the instant, so the entry is refused."""
    without = {key: value for key, value in ENTRY.items() if key != "timestampGMT"}
    assert [error.field for error in errors(payload(without))] == ["measured_at"]


def test_changed_record_of_zepp() -> None:
    """A record that changes or deletes another is refused: its weight is wrong."""
    document = {"items": [example("zepp.json") | {"weightType": 3}], "next": 0}
    assert [error.field for error in errors(payload(document))] == ["problem"]


def test_member_of_zepp() -> None:
    """A member of the family is the person, not the owner of the account."""
    assert values(payload(example("zepp.json") | {"memberId": "77"}))["person"] == "77"


# -- home automation -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"entity_id": "sensor.anna_weight", "old_state": None, "new_state": state},
        lambda state: {
            "event_type": "state_changed",
            "data": {"entity_id": "sensor.anna_weight", "old_state": state, "new_state": state},
            "origin": "LOCAL",
            "time_fired": "2026-11-21T05:31:02.2+00:00",
        },
        lambda state: {"id": 18, "type": "event", "event": {"data": {"new_state": state}}},
        lambda state: {"trigger": {"platform": "state", "from_state": state, "to_state": state}},
    ],
    ids=["new_state", "event", "WebSocket", "trigger"],
)
def test_state_in_an_event(wrap: Callable[[object], dict[str, Any]]) -> None:
    """A state of Home Assistant is found in the events and triggers around it."""
    state = example("home_assistant_state.json")
    assert payload(wrap(state)) == payload(state)


def test_values_in_the_attributes() -> None:
    """If the attributes have a weight, they are the reading."""
    attributes = {"weight": 64.6, "body_fat": 24.3, "problem": "none"}
    state = {"entity_id": "bodymiscale.anna", "state": "ok", "attributes": attributes, "last_updated": AT}
    assert values(payload(state)) == FAT
    assert instant(payload(state)) == AT


@pytest.mark.parametrize(("unit", "kg"), [("lb", "64.6"), ("st", "64.6"), ("%", "")])
def test_state_with_its_unit(unit: str, kg: str) -> None:
    """A state is a weight if its unit is one of mass; a percentage is not."""
    number = {"lb": "142.418621", "st": "10.172759", "%": "24.3"}[unit]
    state = {"entity_id": "sensor.x", "state": number, "attributes": {"unit_of_measurement": unit}, "last_updated": AT}
    if kg:
        assert round(Decimal(values(payload(state))["weight_kg"]), 3) == Decimal(kg)
    else:
        assert [error.field for error in errors(payload(state))] == ["weight"]


def test_two_scales_of_a_gateway() -> None:
    """A message of Tasmota with two scales is two weigh-ins."""
    document = example("tasmota.json")
    document["MISCALEV1ffffff"] = {"weight": 81.4, "weight_unit": "kg"}
    assert [values(item.payload)["weight_kg"] for item in unpack(document).items] == ["64.6", "81.4"]


# -- any body ------------------------------------------------------------------------------------------------

WORDS = st.sampled_from(
    (
        *("event", "data", "metrics", "name", "units", "qty", "date", "source", "weight", "weight_body_mass"),
        *("body_fat", "measures", "measuregrps", "type", "value", "unit", "body", "status", "attrib"),
        *("category", "dateWeightList", "dailyWeightSummaries", "allWeightMetrics", "latestWeight"),
        *("samplePk", "timestampGMT", "generatedTime", "summary", "items", "weightType", "memberId", "Time"),
        *("state", "attributes", "new_state", "unit_of_measurement", "last_updated", "values", "key"),
        *("measurements", "timestamp", "app_version", "records", "kilograms", "percentage", "time"),
        *("metadata", "data_origin", "bmi", "person"),
    )
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats()
    | st.decimals(allow_nan=True)
    | st.sampled_from(["insert", "update", "delete", "test", "kg", "%", AT, "81,4", "health_data.synced", "weight"])
    | st.text(max_size=5)
)
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=6), max_leaves=25
)


@given(document=DOCUMENTS)
def test_any_document(document: object) -> None:
    """Any JSON gives at least one item or a `CallerFault`, unchanged itself; each item is understood or refused."""
    before = copy.deepcopy(document)
    try:
        items = unpack(document).items
    except CallerFault as fault:
        assert str(fault)
        return
    finally:
        assert repr(document) == repr(before)
    assert items
    for item in items:
        assert item.action is not Action.NOTHING or item.text
        try:
            interpret(item.payload, now=NOW, timezone=BERLIN)
        except CallerFault as fault:
            assert str(fault)


def _repeated(name: str, times: int) -> dict[str, Any]:
    """The example with its longest lists repeated, each weigh-in at another instant."""
    at = 1_700_000_000
    if name == "health_auto_export.json":
        document = example(name)
        for metric in document["data"]["metrics"]:
            metric["data"] = [{"date": at + 7 * n, "qty": 64 + n % 2, "source": "A"} for n in range(times)]
        return document
    if name == "hc_webhook.json":
        return {
            "weight": [{"kilograms": 64 + n % 2, "time": at + 7 * n} for n in range(times)],
            "body_fat": [{"percentage": 24, "time": at + 7 * n + 3} for n in range(times)],
        }
    if name == "withings.json":
        return {"status": 0, "body": {"measuregrps": [group((1, 64600, -3), grpid=n) for n in range(times)]}}
    if name == "garmin.json":
        return {"dateWeightList": [ENTRY] * times, "note": "x"}
    if name == "zepp.json":
        return {"items": [example(name)] * times}
    if name == "tasmota.json":
        return {"Time": AT, **{f"MISCALE{n}": {"weight": 64.6} for n in range(times)}}
    if name == "openscale_webhook.json":
        row = {key: value for key, value in example(name).items() if key != "event"}
        return {"event": "update", "measurements": [row] * times, "username": "Anna"}
    attributes = {f"attribute {n}": n for n in range(times)}
    return {"state": "64.6", "attributes": attributes}


@pytest.mark.parametrize("name", BODIES)
def test_work_is_linear(name: str) -> None:
    """A body that is four times as long takes at most about four times as many calls."""
    few, many = (_calls(_repeated(name, times)) for times in (100, 400))
    assert many <= 4.4 * few


def test_many_weights_at_one_instant() -> None:
    """A body with absurdly many weights at one instant is refused early."""
    rows = [("05:31:00", float(40 + n), f"app {n}") for n in range(500)]
    with pytest.raises(ReadingRejected) as refused:
        unpack(apple(weight_body_mass=rows))
    assert "one instant" in refused.value.errors[0].message


def _calls(document: object) -> int:
    """How many functions are called while the document is unpacked."""
    count = 0

    def counting(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(counting)
    try:
        unpack(document)
    finally:
        sys.setprofile(None)
    return count
