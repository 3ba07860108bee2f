"""An item of a body, and what every kind of body needs: its lists, its numbers with their units, its other keys.

Rule: what is not a number stays as it came, so that `interpret` refuses it by name. A key keeps its name, or gets one
that has no other meaning.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from typing import NamedTuple

from ...errors import FieldError, ReadingRejected
from ...reasons import Reason, Why
from ..dialects import VOCABULARY, Meaning, Quantity, Unused, normal
from ..quantities import LONGEST_TEXT, is_short

#: An object of JSON.
Document = Mapping[str, object]
Values = dict[str, object]
EMPTY: Document = {}

#: The attributes of `Reading` that every weigh-in has.
WEIGHT, TIME = "weight_kg", "measured_at"


class Action(Enum):
    """What is to be done with an item."""

    WEIGH_IN = "weigh_in"
    #: As `?replace=true`: the entry at the same instant is replaced.
    REPLACE = "replace"
    #: The entry at the instant of the payload is deleted. The payload has a time, and perhaps no weight.
    TAKE_BACK = "take_back"
    #: A test, or an event that changes no weigh-in. Answered with `Item.text`.
    NOTHING = "nothing"


class Item(NamedTuple):
    """A payload in words that `interpret` knows, and what is to be done with it."""

    payload: object
    action: Action = Action.WEIGH_IN
    #: For `Action.NOTHING`: the sentence that answers it.
    text: str = ""


def meaning_of(key: str) -> Meaning | None:
    return VOCABULARY.get(normal(key)) if len(key) <= LONGEST_TEXT else None


# -- values ------------------------------------------------------------------------------------------------


class Field(NamedTuple):
    """Where a number of a body goes."""

    name: str
    #: The unit in which the body gives it, if `factor` is 1.
    unit: str = ""
    factor: Decimal = Decimal(1)


_NUMBER = re.compile(r"[+-]?\d{1,12}(?:[.,]\d{1,20})?", re.ASCII)
_STEP, _TENTH = Decimal("0.000001"), Decimal("0.1")


def number_in(value: object) -> Decimal | None:
    """The number in a value, if it is one that a scale could show."""
    if isinstance(value, str):
        text = value.strip()
        return Decimal(text.replace(",", ".")) if _NUMBER.fullmatch(text) else None
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal) or not is_short(value):
        return None
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    return number if number.is_finite() and (number == 0 or -12 <= number.adjusted() <= 12) else None


def amount(value: object, unit: str = "", factor: Decimal = Decimal(1)) -> object:
    """A number with its unit, as text. Anything else stays as it came: `interpret` refuses it by name."""
    number = number_in(value)
    if number is None:
        return value
    # With thousandths, a number of kcal could be read as thousands.
    number = (number * factor).quantize(_TENTH if unit == "kcal" else _STEP)
    return f"{number.normalize():f} {unit}".rstrip()


def renamed(document: Document, fields: Mapping[str, Field], *, without: Iterable[str] = ()) -> Values:
    """The keys of a document under our names; keys without a field stay."""
    values: Values = {}
    dropped = frozenset(without)
    for key, value in document.items():
        field = fields.get(key)
        if field and field.name not in document:
            values[field.name] = amount(value, field.unit, field.factor)
        elif key not in dropped:
            values[key] = value
    return values


def is_weight(item: tuple[str, object]) -> bool:
    """Whether a key with its value says a weight."""
    key, value = item
    meaning = meaning_of(key)
    return isinstance(meaning, Quantity) and meaning.name == WEIGHT and not isinstance(value, list)


def put(values: Values, key: str, value: object) -> None:
    """Adds a value. Another value under the same key is named by a key of its own, which nobody understands."""
    if key in values and values[key] != value:
        key = f"{key} again"
    values.setdefault(key, value)


#: More keys than any program writes next to its list of weigh-ins.
_MOST_BESIDE = 20


def spread(
    payloads: Sequence[Values], beside: Document, known: Iterable[str] = (), named: Document = EMPTY
) -> Iterator[Item]:
    """The weigh-ins of a body. A key next to them (a person, a unit, …) is one of each; `named` is one of the first.

    Raises `ReadingRejected` if there are too many keys.
    """
    apart = frozenset(known)
    rest = {key: value for key, value in beside.items() if key not in apart}
    of_each = {key: value for key, value in rest.items() if not isinstance(value, dict | list)}
    if len(of_each) > _MOST_BESIDE and len(payloads) > 1:
        raise refused("", len(of_each), Why.TOO_MANY_KEYS(maximum=_MOST_BESIDE))
    # Of a list or an object, the size, under a name that has no other meaning.
    of_first = {aside(key): len(value) for key, value in rest.items() if isinstance(value, dict | list)}
    for place, payload in enumerate(payloads):
        yield Item({**of_each, **payload} if place else {**of_each, **of_first, **named, **payload})


def objects_in(document: Document, key: str) -> list[Document]:
    """The objects in the list under a key, to recognize a shape."""
    value = document.get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def rows_in(document: Document, key: str) -> list[Document]:
    """The list of objects under a key. Raises `ReadingRejected` if something else is in it."""
    rows, value = objects_in(document, key), document.get(key)
    if value is not None and (not isinstance(value, list) or len(rows) < len(value)):
        raise refused(key, None, Why.OBJECTS_EXPECTED())
    return rows


def object_in(document: Document, key: str) -> Document:
    value = document.get(key)
    return value if isinstance(value, dict) else {}


def nothing(document: object, text: str) -> Item:
    return Item(document, Action.NOTHING, text)


def refused(key: str, value: object, reason: Reason) -> ReadingRejected:
    return ReadingRejected([FieldError(key, value if isinstance(value, str | int) else None, reason)])


def aside(name: str) -> str:
    """The name of a metric outside a weigh-in, such as the water that somebody drank, left without meaning."""
    meaning = meaning_of(name)
    return name if meaning is None or isinstance(meaning, Unused) else f"{name} samples"


def text_in(value: object) -> str:
    return value[:100] if isinstance(value, str) else ""
