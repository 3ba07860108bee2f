"""Why a value was rejected or doubted: a code for programs, and the parameters of a sentence in any language.

Rule: this is the one table of codes and their English sentences. A code is the name of its member, so it never changes
with the words, and a reason without a known code cannot be made. The numbers, names and keys in a sentence are
parameters, so a page in another language makes its own sentence from the code and the parameters.

Strategy: the sentence is made when it is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum, unique
from typing import Any, Protocol, TypeAlias, runtime_checkable


@runtime_checkable
class Coded(Protocol):
    """What has a code of its own: a reason, or a fault. As text: the English sentence."""

    def shown(self) -> dict[str, object]:
        """Its `code`, `params` and `message`, as they are in a response."""


#: A number, a name, a reason or a fault within the reason, or several of them.
Parameter: TypeAlias = "int | float | Decimal | str | Coded | Sequence[Parameter]"

_NAME = re.compile(r"\{(\w+)")
#: A parameter without a conversion at the beginning.
_WORD_FIRST = re.compile(r"\{\w+\}")


def parameters_in(sentence: str) -> frozenset[str]:
    """The names in its braces."""
    return frozenset(_NAME.findall(sentence.replace("{{", "")))


class Sentences(Enum):
    """A table of codes: each member is the English sentence. Called with its parameters, it is a reason."""

    def __init__(self, sentence: str) -> None:
        #: For programs: "out-of-range".
        self.code = self.name.lower().replace("_", "-")
        self.sentence = sentence
        #: The names of its parameters.
        self.parameters = parameters_in(sentence)

    def __call__(self, **parameters: Parameter) -> Reason:
        if parameters.keys() != self.parameters:
            raise TypeError(f"{self.code} has the parameters {sorted(self.parameters)}, got {sorted(parameters)}")
        return Reason(self, parameters)


@unique
class Why(Sentences):
    """The reasons of the function: `Why.DAY_EXPECTED()`."""

    # Of any value.
    OUT_OF_RANGE = "The {quantity} must be {minimum} to {maximum} {unit}."
    TOO_MANY_DIGITS = "A number of at most {maximum} digits was expected."
    DECIMAL_EXPECTED = "A Decimal was expected."
    NUMBER_EXPECTED = 'A number, or a text such as "81.4 kg", was expected.'
    NO_NUMBER_OF_A_SCALE = "A number that a scale can show was expected."
    NUMBER_IN_UNIT_EXPECTED = "A number in {unit} was expected."
    NUMBER_WITHOUT_UNIT_EXPECTED = "A number without a unit was expected."
    UNIT_UNKNOWN = "A number with a known unit (kg, g, lb, st, jin, %, kcal, cm …) was expected."
    TWO_UNITS = "The value has one unit, and the unit next to it is another."
    POUND_UNCLEAR = "This pound is 453.6 g in one country and 500 g in another: write lb, kg or g."
    SEPARATOR_UNCLEAR = "It is not clear whether the separator is for thousands or for decimals. Leave it out."
    TEXT_TOO_LONG = "A number with its unit was expected; this text is too long."
    OBJECT_OF_NUMBER_EXPECTED = (
        'An object for a number has a value and its unit, and no more: {{"value": 81.4, "unit": "kg"}}.'
    )
    FIT_RANGE = "FIT holds 0 to {maximum} here."

    # Of the weight.
    WEIGHT_MISSING = 'A reading needs a weight, such as 81.4 or "81.4 kg".'
    WEIGHT_NOT_AMONG_KEYS = 'A reading needs a weight, such as 81.4 or "81.4 kg". Keys received: {keys!r}.'
    WEIGHT_DEEPER = (
        'A reading needs a weight, such as 81.4 or "81.4 kg". Keys received: {keys!r}. '
        "There is a weight at '{place}': send the object that holds it."
    )
    UNIT_OF_WEIGHT_EXPECTED = "Expected kg, lb, st or jin."
    TOO_MANY_WEIGHTS = "More than {maximum} different weights came for one instant; one was expected."

    # Of keys.
    READING_EXPECTED = "A reading is a JSON object of names and values."
    ANOTHER_VALUE = "{key!r} has another value for the same thing."
    ANOTHER_UNIT = "{key!r} names another unit."
    COULD_SAY_WHEN = (
        "This key could say when the weigh-in was, and is not known. "
        "Send the time as 'measured_at', or leave this key out."
    )
    COULD_SAY_WHOSE = (
        "This key could say whose weigh-in it is, and is not known. Send the name as 'person', or leave this key out."
    )
    COULD_SAY_UNIT = (
        "This key could say in which unit the weight is, and is not known. "
        "Send the weight with its unit, such as '81.4 kg', or leave this key out."
    )
    COULD_SAY_VALIDITY = (
        "This key could say whether this is a weigh-in, and is not known. "
        "Send it as 'valid': true or false, or leave this key out."
    )
    DID_YOU_MEAN = "{key!r} (did you mean {meant!r}?)"
    AND_MORE = "{keys!r} and {count} more"

    # Whether it counts.
    TRUE_OR_FALSE_EXPECTED = "Expected true or false."
    DOES_NOT_COUNT = "The source says that this weigh-in does not count."
    PROBLEM_WITH_WEIGHT = "The source reports a problem with the weight itself."
    OBJECT_WEIGHED = "The scale weighed an object, not a person."
    MODE_EXPECTED = 'Expected "person" or "object".'

    # Of the time.
    TIME_EXPECTED = (
        "A time was expected: ISO 8601 such as 2026-11-23T06:31:00+01:00, epoch seconds or milliseconds, or a date "
        'with a year of four digits and an English month, such as "Nov 23, 2026 6:31 AM".'
    )
    TIME_OF_DAY_MISSING = "The time of day is missing; Garmin needs the instant."
    DATE_AND_TIME_EXPECTED = "A date such as 2026-11-23 and a time of day such as 06:31 were expected."
    ZONE_EXPECTED = (
        "A time zone was expected: a name such as Europe/Berlin, UTC, or an offset such as +01:00. Other "
        "abbreviations, such as CST, have several meanings."
    )
    INSTANT_EXPECTED = "An instant with an offset was expected."
    INSTANT_IMPOSSIBLE = (
        "This is {instant}, which is before the year 2000 or more than five minutes from now. Check the clock and the "
        "time zone."
    )
    OFFSET_NOT_OF_ZONE = "The offset {offset} is not that of {zone} at this time."
    WEEKDAY_WRONG = "{date} is a {weekday}. Correct the date or the weekday."
    DATE_AMBIGUOUS = "This is {day} or {other_day} {year}: send {time} or {other_time}."
    ANOTHER_INSTANT = "{key!r} names another instant."
    ANOTHER_DAY = "{key!r} names another day."
    ANOTHER_ZONE = "{key!r} names another time zone."
    TIME_OF_DELETION_MISSING = "The time of the weigh-in to delete was expected."
    FIT_TIME = "FIT timestamps run from July 1998 to February 2126."

    # Of the person.
    NAME_EXPECTED = "A name was expected, as a text."
    NAME_OF_LENGTH_EXPECTED = "A name of 1 to {maximum} printable characters was expected."
    ANOTHER_PERSON = "{key!r} names someone else."
    PERSON_UNKNOWN = "No person by that name is configured. Known: {known}."
    PERSON_EXPECTED = "Expected one of these names: {known}."
    OF_PERSON = "The {quantity} of {person}"
    FITS_SEVERAL = "This weight fits several people: {fitting}. Name the person: {known}."
    FITS_NO_ONE = (
        "This weight fits no one's range and recent weights. Is it a guest or a suitcase? "
        "If not, name the person: {known}."
    )

    # Between values.
    CONTRADICTION = "{reason} Was one of them typed wrongly, not updated, or measured on someone else?"
    DOES_NOT_FIT = (
        "{quantity} {measured} {unit} does not fit {other}: {limit} {unit} "
        "(a difference of {allowed} {unit} is allowed for rounding)."
    )
    MORE_THAN_WHOLE = (
        "{quantity} {measured} {unit} is more than {other}: {limit} {unit} "
        "(a difference of {allowed} {unit} is allowed for rounding)."
    )
    ABOVE_SHARE = "{quantity} {measured} {unit} is more than {other}: {limit} {unit}."
    BELOW_SHARE = "{quantity} {measured} {unit} is less than {other}: {limit} {unit}."
    ABOVE_LIMIT = "{quantity} {measured} {unit} is more than {other}."
    BELOW_LIMIT = "{quantity} {measured} {unit} is less than {other}."
    DIFFERENT_VALUES = "They are different values for the same thing."
    KG_OR_PERCENT = "It could be in kg or in %, and the other values do not decide. Send it with its unit."
    NEITHER_KG_NOR_PERCENT = "It fits the other values neither in kg nor in %."
    RECEIVED = "{reason} Received: {value}."

    # Of bodies.
    EVENT_EXPECTED = "One of these events was expected: {known}."
    DELETION_UNEXPECTED = "A weigh-in was expected, not its deletion."
    WEIGH_IN_EXPECTED = "Only weigh-ins can be in a file; this is another event."
    OBJECTS_EXPECTED = "A list of objects was expected."
    TOO_MANY_KEYS = "At most {maximum} keys next to several weigh-ins were expected."
    ANSWER_OF_WITHINGS = "The answer of Withings is an error, not measurements."
    READINGS_OF_A_FILE = "Expected 1 to {maximum} readings for one file."

    # Of addresses and sign-ins.
    PARAMETER_UNKNOWN = "Known here, each once: {known}."
    DAY_EXPECTED = "A day such as 2026-11-23 was expected."
    DAYS_REVERSED = "Expected a day no later than `to`."
    PATH_EXPECTED = "A path without control characters was expected."
    STEP_EXPECTED = "A JSON object with {known} was expected, and nothing else."
    TEXT_EXPECTED = "A text of 1 to {maximum} characters was expected."

    # Within a note: why a key was not used, and what to do about an entry that remains.
    COEFFICIENT_OF_FORMULA = "it is a coefficient of the scale's formula, not the weight without the fat"
    ONLY_VALUES_BESIDE = "only the values next to it are read"
    HAS_OWN_UNIT = "{key!r} has its own unit"
    ANOTHER_KEY_SAYS_WHOSE = "{key!r} says whose weigh-in it is"
    UNIT_NOT_OF_VALUE = "{key!r} is not a unit that it can have"
    SEND_AGAIN = "Send the same reading again."
    SEND_AGAIN_REPLACING = "Send the same reading with replace=true again."
    NOT_DELETED = "Entry {id} could not be deleted: {fault} {reason}"


@dataclass(frozen=True, slots=True)
class Reason:
    """A code and its parameters. As text: the English sentence."""

    why: Sentences
    parameters: Mapping[str, Parameter] = field(hash=False)

    def __str__(self) -> str:
        return fill(self.why.sentence, self.parameters)

    def shown(self) -> dict[str, object]:
        """As it is in a response."""
        return {"code": self.why.code, "params": shown_parameters(self.parameters), "message": str(self)}


def shown_parameters(parameters: Mapping[str, Parameter]) -> dict[str, object]:
    """As they are in a response."""
    return {name: _shown(value) for name, value in parameters.items()}


def _shown(value: Parameter) -> object:
    if isinstance(value, Coded):
        return value.shown()
    return [_shown(each) for each in value] if isinstance(value, list | tuple) else value


class Phrase(str):
    """A text that is complete: in a list of quoted names, it gets no quotes."""

    __slots__ = ()
    __repr__ = str.__str__


class _Several:
    """Texts in a sentence, with commas between them. `!r` puts each one into quotes; `:and` is the word before the last
    one."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts

    def __str__(self) -> str:
        return ", ".join(self.texts)

    def __repr__(self) -> str:
        return ", ".join(map(repr, self.texts))

    def __format__(self, word: str) -> str:
        *first, last = self.texts
        return f"{', '.join(first)} {word} {last}" if word and first else str(self)


def _in_english(_name: str, value: Parameter) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    return Phrase(value) if isinstance(value, Coded) else str(value)


def fill(sentence: str, parameters: Mapping[str, Any], text_of: Callable[[str, Any], str] = _in_english) -> str:
    """The sentence with its parameters. `text_of`: the text of one, by its name, in the language of the sentence.

    If a parameter is its first word, it gets a capital letter, unless the sentence has it as it is: `{delivery!s}`. A
    unit that is empty leaves no space.
    """
    if parameters.get("unit") == "":
        sentence = sentence.replace(" {unit}", "")
    values: dict[str, object] = {}
    for name, value in parameters.items():
        several = isinstance(value, list | tuple)
        values[name] = _Several([text_of(name, each) for each in value]) if several else text_of(name, value)
    text = sentence.format(**values)
    return text[:1].upper() + text[1:] if _WORD_FIRST.match(sentence) else text
