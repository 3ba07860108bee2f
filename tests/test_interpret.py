"""From keys and values to a reading: every key is used or named, and nothing is guessed."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.interpreting import ARRIVAL, errors, notes, only_error, short, understood, values
from weighbridge.errors import ReadingRejected
from weighbridge.notes import Code
from weighbridge.reading.dialects import DIALECTS, NOT_MEASURED, VOCABULARY, Either, Quantity, Role, Share, normal
from weighbridge.reading.quantities import LONGEST_TEXT


@pytest.mark.parametrize("payload", [None, True, 81.4, "81.4", [], [{"weight": 81.4}]])
def test_only_an_object_is_a_reading(payload: object) -> None:
    """JSON that is not an object is rejected as a whole."""
    assert only_error(payload).field == ""
    assert "JSON object" in only_error(payload).message


# -- persons ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "person"),
    [
        ({"person": "Anna"}, "Anna"),
        ({"user_name": "Jörg", "user_slug": "jorg"}, "Jörg"),
        ({"user_slug": "jorg", "user_name": "Jörg"}, "Jörg"),
        ({"user_slug": "jorg"}, "jorg"),
        ({"username": " Anna ", "userId": 1}, "Anna"),
        ({"suid": 1207}, "1207"),
        ({"person": "unknown"}, "None"),
    ],
)
def test_name_before_id(payload: dict[str, object], person: str) -> None:
    """The name of a person is used before an id, in any order."""
    assert str(understood(payload | {"weight": 81.4}).reading.person) == person


def test_two_names() -> None:
    """Two different names are rejected."""
    error = only_error({"weight": 81.4, "person": "Anna", "user_name": "Jörg"})
    assert (error.field, error.message) == ("user_name", "'person' names someone else.")


@pytest.mark.parametrize("person", [True, 1.5, ["Anna"], {"name": "Anna"}, 10**5000, "x" * 65, "A\x00"], ids=short)
@pytest.mark.parametrize("key", ["user_name", "user_slug"])
def test_invalid_name(key: str, person: object) -> None:
    """A person that is not a name is rejected under the caller's key."""
    assert only_error({"weight": 81.4, key: person}).field == key


# -- not measured ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "word", [None, "", "unknown", "unavailable", "None", "none", "Unknown", " ", "- -", "--", "n/a"]
)
def test_value_not_measured(word: object) -> None:
    """A value that was not measured is absent from the reading, and a note says so."""
    interpreted = understood({"weight": 81.4, "Body Fat": word})
    assert interpreted.reading.body_fat_percent is None
    assert notes(interpreted) == [(Code.NOT_MEASURED, "'Body Fat' was not measured."), ARRIVAL]


@pytest.mark.parametrize("word", [None, *sorted(NOT_MEASURED)])
def test_weight_not_measured(word: object) -> None:
    """A weight that was not measured is rejected under the caller's key."""
    error = only_error({"Weight": word, "body fat": 18.2})
    assert (error.field, error.input) == ("Weight", word)
    assert error.message == 'A reading needs a weight, such as 81.4 or "81.4 kg".'


def test_weight_is_missing() -> None:
    """A reading without a weight is rejected."""
    assert only_error({}).field == "weight"
    assert only_error({}).message == 'A reading needs a weight, such as 81.4 or "81.4 kg".'


@pytest.mark.parametrize(
    ("payload", "more"),
    [
        ({"body fat": 18.2, "mood": 1}, "Keys received: 'body fat', 'mood'."),
        ({"fat": 18.2, "wieght": 81.4}, "Keys received: 'wieght' (did you mean 'weight'?), 'fat'."),
        ({f"key {n}": n for n in range(7)}, "'key 0', 'key 1', 'key 2', 'key 3', 'key 4' and 2 more."),
        ({"sensor": {"weight": 81.4}}, "There is a weight at 'sensor.weight': send the object that holds it."),
        (
            {"data": {"items": [{"mood": 1}, {"Weight": "81.4 kg"}]}},
            "There is a weight at 'data.items.1.Weight': send the object that holds it.",
        ),
    ],
)  # fmt: skip
def test_missing_weight_names_what_came(payload: dict[str, object], more: str) -> None:
    """The error of a missing weight names the keys that came, a likely slip, and a weight inside of a value."""
    error = only_error(payload)
    assert error.field == "weight"
    assert error.message.endswith(more)


@pytest.mark.parametrize("value", ["unknown %", "unavailable kg", "-- %", "None kg", "unknown%", "- kg"])
def test_not_measured_with_a_unit(value: str) -> None:
    """A value that was not measured may have a unit behind it."""
    interpreted = understood({"weight": 81.4, "body fat": value})
    assert notes(interpreted)[0] == (Code.NOT_MEASURED, "'body fat' was not measured.")
    assert only_error({"weight": value}).message.startswith("A reading needs a weight")


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("boddy fat", "body fat"),
        ("bdoy fat", "body fat"),
        ("body fta", "body fat"),
        ("muscel mass", "muscle mass"),
        ("visceralfatt", "visceral fat"),
        ("bone maas", "bone mass"),
        ("moods", None),
        ("hr2", None),
        ("fta", None),
    ],
)
def test_likely_slip(key: str, meant: str | None) -> None:
    """A key that is one slip away from a known one is named with that one, where a person reads it."""
    (warning,) = understood({"weight": 81.4, key: 18.2}).warnings
    hint = f" (did you mean {meant!r}?)" if meant else ""
    assert (warning.why, str(warning)) == (Code.NOT_RECOGNIZED, f"Not recognized: {key!r}{hint}.")


def test_many_unknown_keys() -> None:
    """Of many unknown keys, the warning names the first and the number of the others."""
    (warning,) = understood({"weight": 81.4} | {f"key {n}": n for n in range(9)}).warnings
    assert str(warning) == "Not recognized: 'key 0', 'key 1', 'key 2', 'key 3', 'key 4' and 4 more."


@pytest.mark.parametrize("zero", [0, 0.0, Decimal("0.0"), "0", "0,0 %", "0 kg", -0.0])
def test_zero_is_not_measured(zero: object) -> None:
    """A zero, in any form, means not measured, and a note says so."""
    interpreted = understood({"weight": 81.4, "body fat": zero})
    assert interpreted.reading.body_fat_percent is None
    assert interpreted.reading.fat_mass_kg is None
    assert notes(interpreted) == [
        (Code.NOT_MEASURED, "'body fat' was not measured."),
        ARRIVAL,
    ]


# -- keys ------------------------------------------------------------------------------------------------


def test_unknown_keys_are_listed() -> None:
    """Keys that no dialect has are listed, long ones shortened."""
    interpreted = understood({"weight": 81.4, "mood": "fine", "": 1, "x" * 500: 2})
    assert interpreted.unknown == ("mood", "", "x" * LONGEST_TEXT)


def test_long_keys_are_unknown() -> None:
    """A key longer than the limit is unknown, so what is cached of keys stays small."""
    assert understood({"weight": 81.4, " " * LONGEST_TEXT + "body fat": 18.2}).unknown == (" " * LONGEST_TEXT,)


def test_values_not_stored_by_garmin() -> None:
    """Known values that Garmin does not store are named in a note."""
    interpreted = understood({"weight": 81.4, "impedance": 480, "protein": 21.3, "heart rate": 61})
    assert notes(interpreted)[0] == (Code.NO_PLACE, "Not stored by Garmin: impedance, protein, heart rate.")


def test_no_place_and_not_recognized_in_one_reading() -> None:
    """A key that Garmin cannot store is a note; one that is not known is a warning."""
    interpreted = understood({"weight": 81.4, "impedance": 480, "mood": "fine"})
    assert notes(interpreted)[0] == (Code.NO_PLACE, "Not stored by Garmin: impedance.")
    assert interpreted.warnings == (Code.NOT_RECOGNIZED(keys=["mood"]),)


def test_same_value_twice() -> None:
    """A value that comes twice, in two forms, is used once."""
    assert values({"weight": 81.4, "weight_kg": "81,40 kg", "fat": 18.2, "body_fat": "18.2"}) == {
        "weight_kg": "81.4",
        "body_fat_percent": "18.2",
    }


def test_different_values_for_one_thing() -> None:
    """Two different values for the same thing are rejected, and the error names both keys."""
    error = only_error({"weight": 81.4, "fat": 18.2, "Body Fat": 19.1})
    assert (error.field, error.input, error.message) == (
        "Body Fat", 19.1, "'fat' has another value for the same thing.",
    )  # fmt: skip


def test_all_errors_together() -> None:
    """All errors of a payload are reported together."""
    payload = {"weight": 9999, "Body Fat": "much", "time": "noon", "BMI": True, "bone mass": [3.4]}
    assert {error.field for error in errors(payload)} == set(payload)


def test_contradiction_has_caller_keys() -> None:
    """The error of a contradiction has the caller's key and value."""
    error = only_error({"weight": "81.4 kg", "Fat Mass": "20 kg", "percent_fat": 18.2})
    assert (error.field, error.input) == ("Fat Mass", "20 kg")
    assert error.message.startswith("Fat mass 20 kg does not fit weight × body fat %: 14.81 kg")


# -- properties ------------------------------------------------------------------------------------------

WEIGHTS = st.decimals("3", "300", places=2)
#: Values that never contradict each other, for any weight.
OTHERS = st.fixed_dictionaries(
    {},
    optional={
        "body_fat_percent": st.decimals("10", "40", places=1),
        "body_water_percent": st.decimals("40", "55", places=1),
        "visceral_fat_rating": st.decimals("1", "59", places=1),
        "metabolic_age_years": st.integers(1, 120),
        "basal_metabolic_rate_kcal": st.integers(500, 5000),
        "physique_rating": st.integers(1, 9),
    },
)


@given(WEIGHTS)
def test_pounds_are_kilograms(kg: Decimal) -> None:
    """A weight in pounds or stones is the weight in kilograms, up to the rounding to a hundredth of a pound."""
    pounds = (kg / Decimal("0.45359237")).quantize(Decimal("0.01"))
    stones, rest = divmod(pounds, 14)
    for typed in (f"{pounds} lb", f"{stones} st {rest} lb"):
        assert abs(understood({"weight": typed}).reading.weight_kg - kg) <= Decimal("0.005")


@given(WEIGHTS, OTHERS)
def test_comma_is_a_point(weight: Decimal, others: dict[str, object]) -> None:
    """A number as text may have a comma in place of a point."""
    payload = {"weight_kg": weight} | others
    comma = {key: str(value).replace(".", ",") for key, value in payload.items()}
    assert understood(comma) == understood(payload)


@given(WEIGHTS, OTHERS, st.data())
def test_case_and_spacing_of_keys(weight: Decimal, others: dict[str, object], data: st.DataObject) -> None:
    """Case, spaces and punctuation of keys do not matter."""
    payload = {"weight_kg": weight} | others
    punctuated = {
        "".join(
            data.draw(st.sampled_from([c.upper(), c.lower(), f" {c}", f"{c}-", f"_{c}", f"({c})"]))
            for c in key
            if c != "_"
        ): value
        for key, value in payload.items()
    }
    assert understood(punctuated).reading == understood(payload).reading


@given(WEIGHTS, OTHERS)
def test_float_decimal_and_text(weight: Decimal, others: dict[str, object]) -> None:
    """A float, a Decimal and a text give the same number."""
    payload = {"weight_kg": weight} | others
    assert understood({key: float(str(value)) for key, value in payload.items()}).reading == understood(payload).reading
    assert understood({key: str(value) for key, value in payload.items()}).reading == understood(payload).reading


@given(WEIGHTS, OTHERS)
def test_payload_is_not_changed(weight: Decimal, others: dict[str, object]) -> None:
    """The same payload gives the same reading and is not changed."""
    payload = {"weight_kg": weight} | others
    before = dict(payload)
    assert understood(payload) == understood(payload)
    assert payload == before


@given(
    st.dictionaries(
        st.sampled_from(sorted({key for dialect in DIALECTS.values() for key in dialect})),
        st.sampled_from([0, None, "unknown", 7, 38, 1812, Decimal("20.5"), "3.4 kg", "18 %"]),
        max_size=12,
    )
)
def test_every_key_is_used_or_named(payload: dict[str, object]) -> None:
    """Each key of an accepted payload has a value in the reading or is named in a note."""
    payload = {"weight": 81.4} | payload
    try:
        interpreted = understood(payload)
    except ReadingRejected:
        return
    texts = " ".join(text for _, text in notes(interpreted))
    for key in payload:
        meaning = VOCABULARY[normal(key)]
        attribute = ""
        if isinstance(meaning, Quantity):
            attribute = meaning.name.mass if isinstance(meaning.name, Share) else meaning.name
        elif isinstance(meaning, Either):
            attribute = meaning.mass
        assert (
            isinstance(meaning, Role)
            or key in texts
            or (attribute and getattr(interpreted.reading, attribute) is not None)
            or "kg" in str(payload[key])
            or "%" in str(payload[key])  # in another unit it is another attribute
        ), key


ANY_NUMBER = (
    st.integers()
    | st.floats()
    | st.decimals()
    | st.sampled_from([10**4000, -(10**4000), Decimal("1E+999999999"), Decimal("-1E-999999999"), Decimal("1" * 5000)])
)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | ANY_NUMBER | st.text(max_size=40) | st.sampled_from(sorted(NOT_MEASURED)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=12,
)
ANY_VALUE = ANY_JSON | st.from_regex(r"[-+]?[0-9]{1,4}([.,][0-9]{1,4})? ?(kg|lb|st|%|g|cm|m|kcal)?", fullmatch=True)
KNOWN_KEY = st.sampled_from(sorted({key for dialect in DIALECTS.values() for key in dialect}))


def only_answers(payload: object) -> None:
    try:
        interpreted = understood(payload)
    except ReadingRejected as fault:
        assert fault.errors
        for error in fault.errors:
            assert len(error.field) <= LONGEST_TEXT
            assert len(str(error.input)) <= LONGEST_TEXT + 1
    else:
        assert interpreted.reading.weight_kg


@given(ANY_JSON)
def test_any_json(payload: object) -> None:
    """Any JSON is a reading or is rejected with errors of limited length."""
    only_answers(payload)


@given(st.dictionaries(KNOWN_KEY | st.text(max_size=20), ANY_VALUE, max_size=12))
def test_any_values_under_known_keys(payload: dict[str, object]) -> None:
    """Any values under known keys are a reading or are rejected with errors of limited length."""
    only_answers({"weight": 81.4} | payload)


@pytest.mark.parametrize(
    "long",
    ["9" * 10**6, "1," * 500_000, " " * 10**6, "1" + " " * 10**6 + "kg", "(" * 10**6, "1(" + "1 " * 500_000,
     "st " * 300_000],
    ids=short,
)  # fmt: skip
def test_megabyte_of_text(long: str) -> None:
    """A text of a megabyte is handled under every key in linear time; otherwise this test would not end."""
    for meaning_key in {meaning: key for key, meaning in VOCABULARY.items()}.values():
        only_answers({"weight": 81.4, meaning_key: long})
    only_answers({"weight": 81.4, long: long})


def test_100_000_keys() -> None:
    """A payload with 100,000 keys is handled."""
    assert len(understood({"weight": 81.4} | {f"key {n}": n for n in range(100_000)}).unknown) == 100_000


def test_deep_value() -> None:
    """A very deeply nested value is an error, and not a crash."""
    deep: object = 1
    for _ in range(100_000):
        deep = [deep]
    assert only_error({"weight": deep}).input == "a list"
