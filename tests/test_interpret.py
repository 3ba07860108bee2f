"""From keys and values to a reading: every key is used or named, and nothing is guessed."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.interpreting import ARRIVAL, errors, notes, only_error, short, understood, values
from weighbridge.errors import ReadingRejected
from weighbridge.notes import Code
from weighbridge.reading.dialects import DIALECTS, NOT_MEASURED, VOCABULARY, Quantity, Role, Share, normal
from weighbridge.reading.quantities import LONGEST_TEXT


@pytest.mark.parametrize("payload", [None, True, 81.4, "81.4", [], [{"weight": 81.4}]])
def test_only_an_object_is_a_reading(payload: object) -> None:
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
def test_a_name_counts_before_an_id(payload: dict[str, object], person: str) -> None:
    assert str(understood(payload | {"weight": 81.4}).reading.person) == person


def test_two_names_are_rejected() -> None:
    error = only_error({"weight": 81.4, "person": "Anna", "user_name": "Jörg"})
    assert (error.field, error.message) == ("user_name", "'person' names somebody else.")


@pytest.mark.parametrize("person", [True, 1.5, ["Anna"], {"name": "Anna"}, 10**5000, "x" * 65, "A\x00"], ids=short)
@pytest.mark.parametrize("key", ["user_name", "user_slug"])
def test_what_is_no_name_is_rejected_under_the_caller_key(key: str, person: object) -> None:
    assert only_error({"weight": 81.4, key: person}).field == key


# -- not measured ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "word", [None, "", "unknown", "unavailable", "None", "none", "Unknown", " ", "- -", "--", "n/a"]
)
def test_a_value_that_was_not_measured_is_absent_and_noted(word: object) -> None:
    interpreted = understood({"weight": 81.4, "Body Fat": word})
    assert interpreted.reading.body_fat_percent is None
    assert notes(interpreted) == [(Code.NOT_MEASURED, "'Body Fat' was not measured."), ARRIVAL]


@pytest.mark.parametrize("word", [None, *sorted(NOT_MEASURED)])
def test_a_weight_that_was_not_measured_is_rejected(word: object) -> None:
    error = only_error({"Weight": word, "body fat": 18.2})
    assert (error.field, error.input) == ("Weight", word)
    assert error.message == 'A reading needs a weight, such as 81.4 or "81.4 kg".'


def test_without_a_weight_there_is_no_reading() -> None:
    assert only_error({"body fat": 18.2}).field == "weight"
    assert only_error({}).field == "weight"


@pytest.mark.parametrize("zero", [0, 0.0, Decimal("0.0"), "0", "0,0 %", "0 kg", -0.0])
def test_a_zero_is_not_measured_and_noted(zero: object) -> None:
    interpreted = understood({"weight": 81.4, "body fat": zero})
    assert interpreted.reading.body_fat_percent is None
    assert interpreted.reading.fat_mass_kg is None
    assert notes(interpreted) == [
        (Code.NOT_MEASURED, "'body fat' is 0, which means that it was not measured."),
        ARRIVAL,
    ]


# -- keys ------------------------------------------------------------------------------------------------


def test_keys_that_nobody_knows_are_named() -> None:
    interpreted = understood({"weight": 81.4, "mood": "fine", "": 1, "x" * 500: 2})
    assert interpreted.unknown == ("mood", "", "x" * LONGEST_TEXT)


def test_a_key_longer_than_any_is_known_by_nobody() -> None:
    """What is remembered of keys stays small, whatever is sent."""
    assert understood({"weight": 81.4, " " * LONGEST_TEXT + "body fat": 18.2}).unknown == (" " * LONGEST_TEXT,)


def test_values_that_garmin_has_no_place_for_are_named() -> None:
    interpreted = understood({"weight": 81.4, "impedance": 480, "protein": 21.3, "heart rate": 61})
    assert notes(interpreted)[0] == (Code.NO_PLACE, "Garmin has no place for: impedance, protein, heart rate.")


def test_bone_and_lbm_of_openscale_are_named_because_their_unit_is_not_known() -> None:
    interpreted = understood({"weight": 81.4, "bone": 3.2, "lbm": 66.6})
    assert interpreted.reading.bone_mass_kg is None
    assert interpreted.reading.fat_free_mass_kg is None
    assert [(code, text.split("'")[1]) for code, text in notes(interpreted)[:2]] == [
        (Code.NOT_USED, "bone"),
        (Code.NOT_USED, "lbm"),
    ]


def test_a_value_given_twice_is_taken_once() -> None:
    assert values({"weight": 81.4, "weight_kg": "81,40 kg", "fat": 18.2, "body_fat": "18.2"}) == {
        "weight_kg": "81.4",
        "body_fat_percent": "18.2",
    }


def test_a_value_given_twice_with_a_difference_is_rejected_with_both_keys() -> None:
    error = only_error({"weight": 81.4, "fat": 18.2, "Body Fat": 19.1})
    assert (error.field, error.input, error.message) == (
        "Body Fat", 19.1, "'fat' says the same thing, with another value.",
    )  # fmt: skip


def test_everything_that_is_wrong_is_told_at_once() -> None:
    payload = {"weight": 9999, "Body Fat": "much", "time": "noon", "BMI": 1, "bone mass": [3.4]}
    assert {error.field for error in errors(payload)} == set(payload)


def test_a_contradiction_is_told_under_the_caller_keys_and_values() -> None:
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
def test_a_weight_in_pounds_is_the_weight_in_kilograms(kg: Decimal) -> None:
    """Up to the rounding of the pounds to a hundredth."""
    pounds = (kg / Decimal("0.45359237")).quantize(Decimal("0.01"))
    stones, rest = divmod(pounds, 14)
    for typed in (f"{pounds} lb", f"{stones} st {rest} lb"):
        assert abs(understood({"weight": typed}).reading.weight_kg - kg) <= Decimal("0.005")


@given(WEIGHTS, OTHERS)
def test_a_comma_is_a_point(weight: Decimal, others: dict[str, object]) -> None:
    payload = {"weight_kg": weight} | others
    comma = {key: str(value).replace(".", ",") for key, value in payload.items()}
    assert understood(comma) == understood(payload)


@given(WEIGHTS, OTHERS, st.data())
def test_case_and_spacing_of_keys_do_not_matter(
    weight: Decimal, others: dict[str, object], data: st.DataObject
) -> None:
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
def test_a_float_a_decimal_and_a_text_are_the_same_number(weight: Decimal, others: dict[str, object]) -> None:
    payload = {"weight_kg": weight} | others
    assert understood({key: float(str(value)) for key, value in payload.items()}).reading == understood(payload).reading
    assert understood({key: str(value) for key, value in payload.items()}).reading == understood(payload).reading


@given(WEIGHTS, OTHERS)
def test_the_same_payload_is_the_same_reading_and_stays_as_it_was(weight: Decimal, others: dict[str, object]) -> None:
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
    """Each key of a payload that is not rejected has a value in the reading, or is named in a note."""
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
        assert (
            isinstance(meaning, Role)
            or key in texts
            or (attribute and getattr(interpreted.reading, attribute) is not None)
            or "kg" in str(payload[key])
            or "%" in str(payload[key])  # said in another unit, it is another attribute
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
def test_any_json_is_a_reading_or_is_rejected(payload: object) -> None:
    only_answers(payload)


@given(st.dictionaries(KNOWN_KEY | st.text(max_size=20), ANY_VALUE, max_size=12))
def test_any_values_under_known_keys_are_a_reading_or_are_rejected(payload: dict[str, object]) -> None:
    only_answers({"weight": 81.4} | payload)


@pytest.mark.parametrize(
    "long",
    ["9" * 10**6, "1," * 500_000, " " * 10**6, "1" + " " * 10**6 + "kg", "(" * 10**6, "1(" + "1 " * 500_000,
     "st " * 300_000],
    ids=short,
)  # fmt: skip
def test_a_text_of_a_megabyte_is_answered_at_once_under_every_key(long: str) -> None:
    """With anything worse than linear time, this test would not end."""
    for meaning_key in {meaning: key for key, meaning in VOCABULARY.items()}.values():
        only_answers({"weight": 81.4, meaning_key: long})
    only_answers({"weight": 81.4, long: long})


def test_a_hundred_thousand_keys_are_answered_at_once() -> None:
    assert len(understood({"weight": 81.4} | {f"key {n}": n for n in range(100_000)}).unknown) == 100_000


def test_a_very_deep_value_is_answered() -> None:
    deep: object = 1
    for _ in range(100_000):
        deep = [deep]
    assert only_error({"weight": deep}).input == "a list"
