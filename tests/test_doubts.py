"""What happens to values in doubt: the reading is refused, or they are left out, or sent with a question."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.function_client import client
from tests.interpreting import errors, only_error, understood, values
from tests.test_reading import CONTRADICTIONS
from weighbridge.errors import ReadingRejected
from weighbridge.notes import Code
from weighbridge.reading.identities import (
    DERIVATIONS,
    LEAN_SOFT_TISSUE,
    RULES,
    Broken,
    Outcome,
    contradictions,
    derive,
    unusual,
)
from weighbridge.reading.interpret import Interpreted
from weighbridge.reading.measures import MEASURES, out_of_range
from weighbridge.reading.people import MUSCLES, Person, of_person
from weighbridge.reading.reading import Reading


def in_doubt(interpreted: Interpreted) -> list[str]:
    """The texts of what was left out. Each is a note and a warning."""
    warned = [str(warning) for warning in interpreted.warnings if warning.why is Code.LEFT_OUT_IN_DOUBT]
    assert warned == [str(note) for note in interpreted.notes if note.why is Code.LEFT_OUT_IN_DOUBT]
    return warned


def questions(payload: dict[str, object]) -> list[str]:
    return [str(warning) for warning in understood(payload).warnings if warning.why is Code.UNUSUAL]


# -- what callers really send ------------------------------------------------------------------------------

#: What came, the keys that are left out, and a part of the reason.
LEFT_OUT: list[tuple[dict[str, object], list[str], str]] = [
    # eufy P3
    (
        {"weight": 81.4, "body_fat": 18.2, "muscle_mass": 77.6},
        ["muscle_mass"],
        "Muscle mass 77.6 kg is more than the fat-free mass, of which it is a part: 66.59 kg",
    ),
    # openScale 2: separate formulas
    (
        {"weight": 62.5, "fat mass": 11.85, "fat-free mass": 50.65, "muscle mass": 48.4, "bone mass": 2.61},
        ["muscle mass", "bone mass"],
        "Muscle mass + bone mass 51.01 kg is more than the fat-free mass, of which they are parts: 50.65 kg",
    ),
    # openScale 1159
    (
        {"weight": 74.95, "body fat": 21, "bone mass": 11.65, "muscle mass": 47},
        ["bone mass"],
        "Bone mass 11.65 kg is more than 10 % of the weight: 7.5 kg.",
    ),
    (
        {"weight": 74.95, "body fat": 50, "bone mass": 4.2},
        ["bone mass"],
        "Bone mass 4.2 kg is more than 10 % of the fat-free mass: 3.75 kg.",
    ),
    # The muscle mass alone is wrong, so the bone mass stays.
    ({"weight": 81.4, "body fat": 18.2, "muscle mass": 77.6, "bone mass": 3.4}, ["muscle mass"], "Muscle mass 77.6 kg"),
    ({"weight": 81.4, "water": 50, "water weight": 45.9}, ["water", "water weight"], "weight × body water %: 40.7 kg"),
    ({"weight": 81.4, "body fat": 18.2, "water": 90}, ["water"], "of which it is a part: 66.59 kg"),
    ({"weight": 81.4, "muscle_mass": 36, "skeletal_muscle_mass": 40}, ["skeletal_muscle_mass", "muscle_mass"], "36 kg"),
    ({"weight": 81.4, "fat": 18.2, "subcutaneous fat": 19}, ["subcutaneous fat"], "part: 18.2 %"),
    ({"weight": 81.4, "muscle mass": 90}, ["muscle mass"], "of which it is a part: 81.4 kg"),
    # 70 inches, given as centimeters
    ({"weight": 81.4, "height": 70}, ["height"], "body mass index, 150 kg/m²"),
    ({"weight": 81.4, "height": 178, "bmi": 30}, ["bmi", "height"], "weight ÷ height²: 25.69 kg/m²"),
    # A muscle share gives a mass, which is in doubt under the key of the share.
    ({"weight": 81.4, "body fat": 18.2, "rom": 95}, ["rom"], "Muscle mass 77.33 kg"),
    (
        {"weight": 81.4, "body fat": 18.2, "muscle mass": 63.2, "rom": 40},
        ["muscle mass", "rom"],
        "Muscle mass 63.2 kg does not fit weight × muscle mass %: 32.56 kg",
    ),
    # The same number under two keys
    ({"weight": 81.4, "fat": 18.2, "muscle mass": 77.6, "muscleMass": 77.6}, ["muscle mass", "muscleMass"], "66.59 kg"),
    # Different numbers under two keys or more
    ({"weight": 81.4, "muscle mass": 63, "muscleMass": 64}, ["muscle mass", "muscleMass"], "They are different values"),
    ({"weight": 81.4, "water": 56, "body water": 56, "vwc": 57}, ["water", "body water", "vwc"], "They are different"),
    ({"weight": 81.4, "rom": 77, "muscle %": 78, "muscle_percent": 77}, ["rom", "muscle %", "muscle_percent"], "They"),
    # Out of range
    ({"weight": 81.4, "bone mass": 70}, ["bone mass"], "The bone mass must be 0.1 to 20 kg. Received: 70."),
    ({"weight": 81.4, "body fat": "-3 %"}, ["body fat"], "Received: -3 %."),
    ({"weight": 81.4, "rom": 101}, ["rom"], "The muscle share must be 1 to 100 %."),
]  # fmt: skip


@pytest.mark.parametrize(("payload", "keys", "reason"), LEFT_OUT)
def test_doubtful_value_is_left_out(payload: dict[str, object], keys: list[str], reason: str) -> None:
    """What is in doubt is left out and named with the reason. The weight and all other values are in the reading."""
    interpreted = understood(payload)
    (text,) = in_doubt(interpreted)
    named, _, sentence = text.removeprefix("Left out as doubtful: ").partition(". ")
    assert [key for key in payload if repr(key) in named.split("Received")[0]] == sorted(keys, key=[*payload].index)
    assert reason in sentence
    assert interpreted.reading == understood({k: v for k, v in payload.items() if k not in keys}).reading


def test_nothing_follows_from_a_doubtful_value() -> None:
    """No value of the reading is derived from one that was left out."""
    interpreted = understood({"weight": 81.4, "height": 178, "bmi": 30, "water": 50, "water weight": 45.9})
    assert values({"weight": 81.4}) == {"weight_kg": "81.4"}
    assert interpreted.derived == {}
    assert len(in_doubt(interpreted)) == 2


def test_value_is_derived_again_from_the_rest() -> None:
    """A value that was left out follows from the others, if they give it."""
    interpreted = understood({"weight": 81.4, "body fat": 99, "fat mass": "14.8 kg"})
    assert interpreted.derived["body_fat_percent"] == "100 × fat_mass_kg ÷ weight_kg"
    assert round(interpreted.reading.body_fat_percent or 0, 1) == Decimal("18.2")


#: Another person, a suitcase or a sensor that was updated halfway; and the key that is named.
REFUSED: list[tuple[dict[str, object], str]] = [
    ({"weight": 81.4, "fat mass": 14.8, "fat-free mass": 60}, "fat mass"),
    ({"weight": 178, "body fat": 18.2, "fat mass": 14.8, "muscle mass": 63.2}, "fat mass"),
    ({"weight": 60, "fat-free mass": 66.6}, "fat-free mass"),
    ({"weight": 81.4, "fat-free mass": 66.6, "body fat": 25}, "body fat"),
    ({"weight": 81.4, "fat-free mass": 2}, "fat-free mass"),
    ({"weight": 77.77, "fat mass": 70}, "fat mass"),
    ({"weight": 81.4, "fat mass": 90}, "fat mass"),
    # Nothing else is left out of a reading that is refused.
    ({"weight": 81.4, "fat mass": 14.8, "fat-free mass": 60, "bone mass": 12}, "fat mass"),
    ({"weight": 500, "bone mass": 70}, "weight"),
    # Two numbers for one thing: which fat is the one of this weight?
    ({"weight": 81.4, "fat": 18.2, "Body Fat": 19.1}, "Body Fat"),
    ({"weight": 81.4, "weight_kg": 80.4}, "weight_kg"),
    ({"weight": 81.4, "weight_lb": 180}, "weight_lb"),
    # Not a number, or not in a unit that fits: what it means is not known.
    ({"weight": 81.4, "bone mass": "abc"}, "bone mass"),
    ({"weight": 81.4, "bone mass": "3.4 cm"}, "bone mass"),
]


@pytest.mark.parametrize(("payload", "key"), REFUSED)
def test_refused(payload: dict[str, object], key: str) -> None:
    """A reading is refused if its fat values contradict the weight or each other, or a value is not understood."""
    assert only_error(payload).field == key
    assert only_error(payload).input == payload[key]


#: A likely slip, and the question.
UNUSUAL: list[tuple[dict[str, object], list[str]]] = [
    (
        {"weight": 18.2, "body fat": 81.4},
        [
            "Weight 18.2 kg is less than 20 kg, the lowest usual value. Is that right?",
            "Body fat 81.4 % is more than 60 %, the highest usual value. Is that right?",
        ],
    ),
    ({"weight": 8.14}, ["Weight 8.14 kg is less than 20 kg, the lowest usual value. Is that right?"]),
    ({"weight": 260}, ["Weight 260 kg is more than 250 kg, the highest usual value. Is that right?"]),
    ({"weight": 81.4, "fat": 1.82}, ["Body fat 1.82 % is less than 3 %, the lowest usual value. Is that right?"]),
    (
        {"weight": 81.4, "height": 95},
        ["Body mass index 90.19 kg/m² is more than 70 kg/m², the highest usual value. Is that right?"],
    ),
    (
        {"weight": 81.4, "bmi": 7},
        ["Body mass index 7 kg/m² is less than 12 kg/m², the lowest usual value. Is that right?"],
    ),
]


@pytest.mark.parametrize(("payload", "expected"), UNUSUAL)
def test_unusual_value_is_a_question(payload: dict[str, object], expected: list[str]) -> None:
    """An unusual value is in the reading, and a warning asks whether it is right."""
    assert questions(payload) == expected
    assert in_doubt(understood(payload)) == []


#: Bodies that exist: weight, body fat %, bone mass, height.
BODIES = [
    (16, 15, 0.6, 104),  # a child of four
    (32, 18, 1.1, 138),  # a child of nine
    (48, 5, 2.6, 170),  # a distance runner
    (60, 28, 2.2, 165),
    (74, 4, 4.2, 178),  # a lean athlete with heavy bones
    (81.4, 18.2, 3.4, 178),
    (38, 12, 1.0, 150),  # old, with thin bones
    (130, 6, 5.8, 190),  # a bodybuilder before a contest
    (240, 58, 4.5, 190),
]


@pytest.mark.parametrize(("weight", "fat", "bone", "height"), BODIES)
def test_real_bodies(weight: float, fat: float, bone: float, height: float) -> None:
    """Nothing is in doubt with a child, an athlete, or a very light or heavy body. Only a small child is a question."""
    interpreted = understood({"weight": weight, "body fat": fat, "bone mass": bone, "height": height})
    assert interpreted.reading.bone_mass_kg == Decimal(str(bone))
    assert in_doubt(interpreted) == []
    assert [warning.why for warning in interpreted.warnings] == ([Code.UNUSUAL] if weight < 20 else [])


# -- the table ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("broken", "field", "sentence"), CONTRADICTIONS)
def test_outcome_of_each_rule(broken: dict[str, str], field: str, sentence: str) -> None:
    """A reading that breaks a rule has the outcome that the table gives for it."""
    payload = {"weight_kg": "81.4", **broken}
    numbers = {name: Decimal(text) for name, text in payload.items()}
    first = contradictions(numbers)[0].rule
    if first.outcome is Outcome.REFUSE:
        assert errors(payload)[0].field == field
        assert errors(payload)[0].message.startswith(sentence)
    else:
        interpreted = understood(payload)
        assert in_doubt(interpreted)[0].endswith(sentence)
        assert {name for name in numbers if getattr(interpreted.reading, name) is None} == set(first.doubted) & set(
            numbers
        )


def test_table_is_complete() -> None:
    """Each rule that leaves out names values that it needs; no other rule does."""
    for rule in (*RULES, LEAN_SOFT_TISSUE):
        assert bool(rule.doubted) is (rule.outcome is Outcome.LEAVE_OUT)
        assert set(rule.doubted) <= set(rule.needs) | {"body_water_kg", "body_water_percent"}
        assert "weight_kg" not in rule.doubted


def test_left_out_values_do_not_follow() -> None:
    """What a rule leaves out cannot be derived from what it keeps, so leaving out always ends."""
    for rule in (*RULES, LEAN_SOFT_TISSUE):
        for derivation in DERIVATIONS:
            if derivation.name in rule.doubted:
                assert set(derivation.needs) <= set(rule.doubted)


def test_every_soft_limit_is_tested() -> None:
    """Each rule that only warns is broken by one of the unusual values above."""
    found = set()
    for payload, _ in UNUSUAL:
        reading = understood(payload).reading
        found |= {each.rule for each in unusual(numbers_of(reading))}
    assert found == {rule for rule in RULES if rule.outcome is Outcome.WARN}


# -- properties --------------------------------------------------------------------------------------------


def numbers_of(reading: Reading) -> dict[str, Decimal]:
    return {name: value for name in MEASURES if (value := getattr(reading, name)) is not None}


def near(name: str) -> st.SearchStrategy[Decimal]:
    """Any number in or near the range of a value, with those of a body of 81.4 kg more often."""
    usual = {
        "body_fat_percent": "18.2",
        "fat_mass_kg": "14.8",
        "fat_free_mass_kg": "66.6",
        "muscle_mass_kg": "63.2",
        "bone_mass_kg": "3.4",
        "body_water_kg": "45.9",
        "body_water_percent": "56.4",
        "height_cm": "178",
        "subcutaneous_fat_percent": "16.1",
        "bmi": "25.7",
        "skeletal_muscle_mass_kg": "36.5",
        "visceral_fat_mass_kg": "1.2",
        "weight_kg": "81.4",
    }
    measure = MEASURES[name]
    middle = Decimal(usual.get(name, measure.minimum + 1))
    return st.one_of(
        st.just(middle),
        st.decimals(middle * Decimal("0.9"), middle * Decimal("1.1"), places=2),
        st.decimals(measure.minimum, min(measure.maximum, measure.minimum + 100), places=3),
        st.decimals(measure.minimum / 2, measure.maximum * Decimal("1.2"), places=1).filter(bool),
    )


PAYLOADS = st.fixed_dictionaries(
    {"weight_kg": near("weight_kg")}, optional={name: near(name) for name in MEASURES if name != "weight_kg"}
)


def broken_by(came: dict[str, Decimal]) -> tuple[list[Broken], set[str]]:
    """The rules that given values break, and the given values that take part in a broken rule."""
    all_values = dict(came)
    derived = derive(all_values)
    needs = {(derivation.name, derivation.formula): derivation.needs for derivation in DERIVATIONS}

    def sources(name: str) -> set[str]:
        if name in came:
            return {name}
        return {source for need in needs[name, derived[name]] for source in sources(need)}

    broken = contradictions(all_values)
    return broken, {source for each in broken for name in each.rule.needs for source in sources(name)}


@settings(max_examples=400)
@given(PAYLOADS)
def test_result_breaks_no_rule(payload: dict[str, Decimal]) -> None:
    """Any values are refused for a broken rule, or the reading breaks no rule and has all that was not in doubt."""
    possible = {name: value for name, value in payload.items() if not out_of_range(name, value)}
    if "weight_kg" not in possible:
        assert [error.field for error in errors(payload)] == ["weight_kg"]
        return
    broken, taking_part = broken_by(possible)
    if any(each.rule.outcome is Outcome.REFUSE for each in broken):
        assert {error.field for error in errors(payload)} <= taking_part
        return
    interpreted = understood(payload)
    result = numbers_of(interpreted.reading)
    assert contradictions(result) == []
    kept = {name: value for name, value in result.items() if name not in interpreted.derived}
    assert kept.items() <= payload.items()
    lost = possible.keys() - kept.keys()
    assert lost <= taking_part - {"weight_kg"}
    said = " ".join(in_doubt(interpreted))
    assert all(repr(name) in said for name in payload.keys() - kept.keys())
    again = dict(kept)
    assert derive(again) == interpreted.derived
    assert again == result
    assert bool(lost) is bool(broken)


FITDAYS = {
    "weight": "weight_kg", "body fat": "body_fat_percent", "fat mass": "fat_mass_kg",
    "fat free body weight": "fat_free_mass_kg", "muscle mass": "muscle_mass_kg", "bone mass": "bone_mass_kg",
    "water weight": "body_water_kg", "subcutaneous fat": "subcutaneous_fat_percent",
}  # fmt: skip


@given(st.fixed_dictionaries({key: near(name) for key, name in FITDAYS.items()}))
def test_fitdays_result_breaks_no_rule(payload: dict[str, Decimal]) -> None:
    """In a row of Fitdays, muscle and bone make up the fat-free mass, or are left out, or the row is refused."""
    try:
        interpreted = understood(payload)
    except ReadingRejected:
        return
    result = numbers_of(interpreted.reading)
    assert contradictions(result) == []
    assert contradictions(result, (LEAN_SOFT_TISSUE,)) == []
    said = " ".join(in_doubt(interpreted))
    assert all(repr(key) in said for key, name in FITDAYS.items() if name not in result.keys() - interpreted.derived)


# -- the person's height and muscle ------------------------------------------------------------------------

ANNA = Person("Anna", "anna", (), None, Decimal(178), MUSCLES[0])


def test_height_of_the_person_that_does_not_fit() -> None:
    """A configured height from which an impossible body mass index follows is left out, and the weight goes on."""
    interpreted = of_person(understood({"weight": 81.4, "body fat": 18.2}), replace(ANNA, height_cm=Decimal(70)))
    assert (interpreted.reading.height_cm, interpreted.reading.bmi) == (None, None)
    assert interpreted.reading.body_fat_percent == Decimal("18.2")
    (text,) = in_doubt(interpreted)
    assert text.startswith("Left out as doubtful: The height of Anna. Weight ÷ height² 166.12 kg/m² is more than")


def test_body_mass_index_of_the_person_is_a_question() -> None:
    """The body mass index that follows from a configured height is looked at as well, and nothing is asked twice."""
    interpreted = of_person(understood({"weight": 18.2}), replace(ANNA, height_cm=Decimal(170)))
    assert [str(warning).partition(" kg")[0] for warning in interpreted.warnings] == [
        "Weight 18.2",
        "Body mass index 6.3",
    ]


def test_skeletal_muscle_of_the_person() -> None:
    """For a person whose muscle is the skeletal one, values in doubt stay out."""
    skeletal = replace(ANNA, muscle=MUSCLES[1])
    payload = {"weight": 81.4, "fat": 18.2, "bone mass": 3.4, "skeletal_muscle_mass": 65}
    interpreted = of_person(understood(payload), skeletal)
    assert (interpreted.reading.muscle_mass_kg, interpreted.reading.bone_mass_kg) == (None, None)
    assert contradictions(numbers_of(interpreted.reading)) == []


@given(PAYLOADS, st.sampled_from(MUSCLES), near("height_cm").filter(lambda cm: not out_of_range("height_cm", cm)))
def test_any_person(payload: dict[str, Decimal], muscle: str, height: Decimal) -> None:
    """What was interpreted is never refused for the person's height or muscle, and the result breaks no rule."""
    try:
        interpreted = understood(payload)
    except ReadingRejected:
        return
    result = of_person(interpreted, replace(ANNA, muscle=muscle, height_cm=height))
    assert contradictions(numbers_of(result.reading)) == []
    assert set(result.derived) <= numbers_of(result.reading).keys()
    in_doubt(result)


# -- the receipt -------------------------------------------------------------------------------------------


def test_receipt_says_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The receipt has what was left out in its notes, its warnings and its summary, and not among the fields."""
    http = client(monkeypatch, WEIGHBRIDGE_FOLDER=tmp_path)
    payload = {"weight": 81.4, "body_fat": 18.2, "muscle_mass": 77.6, "measured_at": "2026-11-22T06:31:00Z"}
    answer = http.post("/", json=payload)
    receipt = answer.json
    assert answer.status_code == 202
    (warning,) = receipt["warnings"]
    assert warning["code"] == "left-out-in-doubt"
    assert warning in receipt["notes"]
    assert receipt["summary"].endswith(warning["text"])
    assert "muscle_mass_kg" not in [field["name"] for field in receipt["fields"]]
    asked = http.post("/", json={"weight": 8.14, "measured_at": "2026-11-23T06:31:00Z"}).json
    assert [each["code"] for each in asked["warnings"]] == ["unusual"]
    assert asked["summary"].endswith("Is that right?")
