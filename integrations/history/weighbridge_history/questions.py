"""Asks a person at the terminal what the file does not say. Each question is asked once, for the whole file.

Rule: an answer that cannot be used is asked for again. An empty one raises the question: nothing is guessed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import islice

from weighbridge.reading.dialects import Either
from weighbridge.reading.keys import meaning_of

from .answers import ORDERS
from .columns import Column
from .errors import OrderUnclear, Question, SeveralPeople, TimeOfDayMissing, UnitUnclear
from .read import Choices, History, check_people
from .times import time_of_day

Ask = Callable[[str], str]

MASSES = ("kg", "lb", "st", "jin")
_SAMPLES = 3


def read_or_ask(
    read: Callable[[Choices], History], choices: Choices, ask: Ask | None, *, served: bool = True
) -> tuple[History, Choices]:
    """The history that `read` finds, and the choices with the person's answers. `served`: the function knows people.

    Raises the question if there is nobody to ask, or the person does not answer.
    """
    while True:
        try:
            history = read(choices)
            check_people(history, served=served)
        except Question as e:
            if ask is None:
                raise
            choices = _answered(e, choices, ask)
        else:
            return history, choices


def _answered(question: Question, choices: Choices, ask: Ask) -> Choices:
    match question:
        case OrderUnclear():
            order = _one_of(ask, question, f"{question.reason} [{'/'.join(ORDERS)}] ", ORDERS)
            return choices._replace(order=order)
        case TimeOfDayMissing():
            at = _until(ask, question, f"{question.reason} One time for all of them, such as 07:00: ", time_of_day)
            return choices._replace(time_of_day=at)
        case UnitUnclear():
            unit = _one_of(ask, question, f"{question.reason} [{'/'.join(MASSES)}] ", {u: u for u in MASSES})
            return choices._replace(units={**choices.units, question.column: unit})
        case SeveralPeople(people=people):
            known = {name.casefold(): name for name in people}
            return choices._replace(person=_one_of(ask, question, f"{question.reason} [{'/'.join(people)}] ", known))
    raise question


def ask_units(history: History, choices: Choices, ask: Ask) -> Choices:
    """The choices with the units of the columns that have none. A column without an answer stays as it is."""
    units = dict(choices.units)
    for column in without_unit(history.columns):
        values = ", ".join(samples(history, column))
        words = f"Is {column.header!r} ({values}) in kg or in %? [kg/%, Enter: the other values decide] "
        while (answer := _answer(ask, words)) not in ("kg", "%", ""):
            pass
        if answer:
            units[column.header] = answer
    return choices._replace(units=units)


def samples(history: History, column: Column) -> list[str]:
    """Some values of a column, as they are in the file."""
    rows = (json.loads(row.line) for row in history.readings)
    return list(islice((str(values[column.key]) for values in rows if column.key in values), _SAMPLES))


def without_unit(columns: Sequence[Column]) -> list[Column]:
    """The columns that are a mass in one app and a percentage in another, and name no unit."""
    return [column for column in columns if not column.unit and isinstance(meaning_of(column.key), Either)]


def _one_of(ask: Ask, question: Question, words: str, known: Mapping[str, str]) -> str:
    return _until(ask, question, words, lambda answer: known.get(answer, ""))


def _until(ask: Ask, question: Question, words: str, read_answer: Callable[[str], str]) -> str:
    while answer := _answer(ask, words):
        if found := read_answer(answer):
            return found
    raise question


def _answer(ask: Ask, words: str) -> str:
    try:
        return ask(words).strip().casefold()
    except EOFError:
        return ""
