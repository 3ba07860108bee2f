"""What to say about keys that are not known, and about a weight that did not come. Pure.

Rule: keys and places are named, values never. However large the payload is, the text is short.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..notes import Code, Note
from .dialects import Quantity, is_missing
from .keys import meaning_of, slip_of, written
from .quantities import LONGEST_TEXT

#: How many keys are named.
_NAMED = 5
#: How deep and how far a weight is looked for.
_DEEPEST, _FURTHEST = 4, 500

WEIGHT_EXPECTED = 'A reading needs a weight, such as 81.4 or "81.4 kg".'


def not_recognized(keys: Sequence[str]) -> Note:
    """A warning that names keys that were left out."""
    return Note(Code.NOT_RECOGNIZED, f"Not recognized: {_list(keys)}.")


def missing_weight(payload: Mapping[str, object]) -> str:
    """What was expected in place of this payload, which has no weight."""
    sentences = [WEIGHT_EXPECTED]
    if payload:
        # The likely slip of "weight" first.
        keys = sorted(payload, key=lambda key: not _is_weight(_slip(key)))
        sentences.append(f"These keys came: {_list(keys)}.")
    if place := next(_weights_in(payload), None):
        sentences.append(f"There is a weight at '{place}': send the object that holds it.")
    return " ".join(sentences)


def _list(keys: Sequence[str]) -> str:
    named = [_with_hint(key) for key in keys[:_NAMED]]
    more = len(keys) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def _with_hint(key: str) -> str:
    meant = _slip(key)
    return f"{key[:LONGEST_TEXT]!r}" + (f" (did you mean {written(meant)!r}?)" if meant else "")


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
