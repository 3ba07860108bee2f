"""What of a history is left out, or doubtful, as texts for a person. Nothing is cut short here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from weighbridge.client import Result

from .columns import NOT_STORED, UNKNOWN
from .read import History, WeighInLine
from .send import ImportReport

_NUMBERS = re.compile(r"\d[\d.,]*", re.ASCII)


def left_out_columns(history: History) -> dict[str, list[str]]:
    """The columns whose meaning is not known or not used, by what happens to them."""
    unknown: list[str] = []
    judged: list[str] = []
    unused: list[str] = []
    for column in history.columns:
        if column.word and column.key:
            continue
        if column.recognized_by == UNKNOWN:
            (judged if column.key else unknown).append(column.header or "(no name)")
        else:
            unused.append(f"{column.header} ({column.recognized_by or NOT_STORED})")
    found = {
        "Not recognized, so left out": unknown,
        "Not recognized, and sent, because it could change the meaning": judged,
        "Left out": unused,
    }
    return {what: names for what, names in found.items() if names}


def unsendable(history: History, checked: ImportReport) -> list[tuple[WeighInLine, Result | None]]:
    """The rows that cannot be sent, in the order of the file, with the problem; None: the row makes no weigh-in."""
    unreadable = [(row, None) for row in history.rows if row.reason]
    return sorted([*unreadable, *checked.refused], key=lambda pair: pair[0].number)


def by_kind(texts: Iterable[tuple[WeighInLine, str]]) -> Mapping[str, list[int]]:
    """The first text of each kind of warning, with the numbers of its rows.

    Texts that differ in their numbers alone are of one kind.
    """
    kinds: dict[str, tuple[str, list[int]]] = {}
    for row, text in texts:
        kinds.setdefault(_NUMBERS.sub("0", text), (text, []))[1].append(row.number)
    return {text: sorted(set(rows)) for text, rows in kinds.values()}


def count_of(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def ranges(numbers: Sequence[int]) -> list[str]:
    """2, 3, 4, 7 -> "2-4", "7"."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return [str(first) if first == last else f"{first}-{last}" for first, last in found]
