"""What to say about keys that are not known, and about a weight that did not come. Pure.

Rule: keys and places are named, values never. However large the payload is, the text is short.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..notes import Code, Note
from ..reasons import Reason, Why
from .dialects import Quantity, is_missing
from .keys import meaning_of, slip_of, written
from .quantities import LONGEST_TEXT

#: How many keys are named.
_NAMED = 5
#: How deep and how far a weight is looked for.
_DEEPEST, _FURTHEST = 4, 500


def not_recognized(keys: Sequence[str]) -> Note:
    """A warning that names keys that were left out."""
    return Code.NOT_RECOGNIZED(keys=_named(keys))


def missing_weight(payload: Mapping[str, object]) -> Reason:
    """What was expected in place of this payload, which has no weight."""
    if not payload:
        return Why.WEIGHT_MISSING()
    # The likely slip of "weight" first.
    keys = _named(sorted(payload, key=lambda key: not _is_weight(_slip(key))))
    if place := next(_weights_in(payload), None):
        return Why.WEIGHT_DEEPER(keys=keys, place=place)
    return Why.WEIGHT_NOT_AMONG_KEYS(keys=keys)


def _named(keys: Sequence[str]) -> Sequence[str | Reason]:
    """The first keys, each with the one that was meant, and how many more there are."""
    named = [_with_hint(key) for key in keys[:_NAMED]]
    more = len(keys) - len(named)
    return [Why.AND_MORE(keys=named, count=more)] if more else named


def _with_hint(key: str) -> str | Reason:
    meant = _slip(key)
    key = key[:LONGEST_TEXT]
    return Why.DID_YOU_MEAN(key=key, meant=written(meant)) if meant else key


def _slip(key: str) -> str | None:
    return slip_of(key) if len(key) <= LONGEST_TEXT and meaning_of(key) is None else None


def _is_weight(key: str | None) -> bool:
    meaning = meaning_of(key) if key is not None else None
    return isinstance(meaning, Quantity) and meaning.name == "weight_kg"


def _weights_in(payload: Mapping[str, object]) -> Iterator[str]:
    """The places of weights inside of values, such as `sensor.weight`; the nearest first."""
    level: list[tuple[str, object]] = list(payload.items())[:_FURTHEST]
    for _ in range(_DEEPEST):
        deeper: list[tuple[str, object]] = []
        for place, value in level:
            inner: list[tuple[str, object]] = []
            if isinstance(value, dict):
                inner = list(value.items())[:_FURTHEST]
                for key, number in inner:
                    if _is_weight(key) and not is_missing(number) and not isinstance(number, dict | list):
                        yield f"{place[:LONGEST_TEXT]}.{key}"
            elif isinstance(value, list):
                inner = [(str(number), item) for number, item in enumerate(value[:_FURTHEST])]
            deeper += [(f"{place[:LONGEST_TEXT]}.{key[:LONGEST_TEXT]}", item) for key, item in inner]
        level = deeper[:_FURTHEST]
