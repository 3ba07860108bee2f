"""A JSON document -> payloads of one weigh-in each, with what is to be done with it.

Rule: pure, and linear in the size of the document. A document that is no known body of others is one item, as it is.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


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


class Unpacked(NamedTuple):
    """The items of one document."""

    items: tuple[Item, ...]
    #: True when the document is one that may hold several weigh-ins, and so gets a list as its answer.
    many: bool


def unpack(document: object) -> Unpacked:
    """A document as JSON gives it -> its items, in order."""
    return Unpacked((Item(document),), many=False)
