"""A JSON document as other programs send it -> payloads of one weigh-in each, and what is to be done with each.

Rule: a key that is not understood here goes on under its own name, so that `interpret` uses it or names it. Every
number goes on with the unit that its source documents, so that nothing is guessed. A document that is not one of these
is one item, as it is. What comes out is stable: the payload of an item, unpacked again, is that item. So a caller may
unpack, store the payloads, and send them one by one.

Strategy: `SHAPES` is the table. Each row knows its shape by names that no other program uses. A plain reading has
none of them, and costs one look at its keys and values.

Facts: each row cites where its shape is public. Weakness: a shape is what its program wrote when the row was written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from . import garmin, home, openscale, phones, withings, zepp
from .items import Action, Document, Item, is_weight, nothing
from .openscale import with_topic

__all__ = ["SHAPES", "Action", "Item", "Shape", "Unpacked", "unpack", "with_topic"]


class Unpacked(NamedTuple):
    """The items of one document. There is at least one."""

    items: tuple[Item, ...]
    #: True when there are several, so that they get a list as their answer.
    many: bool


def unpack(document: object) -> Unpacked:
    """A document as JSON gives it -> its items, in order.

    Raises `ReadingRejected` for an event that is not known, and for the answer of an interface that failed.
    """
    if not isinstance(document, dict) or not _is_special(document):
        return Unpacked((Item(document),), many=False)
    has_weight = any(map(is_weight, document.items()))
    for shape in SHAPES:
        if (shape.flat or not has_weight) and shape.fits(document):
            items = tuple(shape.unpack(document)) or (nothing(document, f"{shape.name}: no weigh-in in it."),)
            return Unpacked(items, many=len(items) > 1)
    return Unpacked((Item(document),), many=False)


class Shape(NamedTuple):
    """One kind of body."""

    name: str
    #: What a body of this kind is, for the documentation.
    what: str
    #: The file in `examples/`.
    example: str
    fits: Callable[[Document], bool]
    unpack: Callable[[Document], Iterable[Item]]
    #: Whether a weight may be at the top. In other shapes, a weight at the top means that this is a plain reading.
    flat: bool = False


#: Flat bodies that are more than a reading have one of these keys.
_MARKS = frozenset(("event", "samplePk", "timestampGMT", "weightInGrams"))
_NESTED: frozenset[type] = frozenset((dict, list))


def _is_special(document: Document) -> bool:
    # This is the hot path: no step of it is a function in Python.
    return not _MARKS.isdisjoint(document) or not _NESTED.isdisjoint(map(type, document.values()))


#: In this order: an event of openScale-sync has a key that Home Assistant's events have too.
SHAPES: tuple[Shape, ...] = (
    Shape(
        "openScale-sync",
        "The webhook, and MQTT: insert, update, delete, test, clear, history, and lists of measurements.",
        "openscale_webhook.json",
        openscale.fits,
        openscale.unpack,
        flat=True,
    ),
    Shape(
        "Health Auto Export",
        "The metrics of Apple Health. Those of one instant are one weigh-in.",
        "health_auto_export.json",
        phones.is_health_auto_export,
        phones.health_auto_export,
    ),
    Shape("Withings", "A group of measurements, or the whole answer.", "withings.json", withings.fits, withings.unpack),
    Shape(
        "Garmin",
        "Entries of the weight service in grams, alone or in a list; `bodyComps` of the Health API.",
        "garmin.json",
        garmin.fits,
        garmin.unpack,
        flat=True,
    ),
    Shape("Zepp Life", "A record with its `summary`, or a list of records.", "zepp.json", zepp.fits, zepp.unpack),
    Shape(
        "Tasmota",
        "The message of a Bluetooth gateway, with one object a scale.",
        "tasmota.json",
        home.is_tasmota,
        home.tasmota,
    ),
    Shape(
        "Home Assistant",
        "A state object, alone or in an event: its attributes, or its state if that is a weight.",
        "home_assistant_state.json",
        home.is_state,
        home.state,
    ),
    Shape(
        "HC Webhook",
        "The records of Android's Health Connect. Those of one instant are one weigh-in.",
        "hc_webhook.json",
        phones.is_hc_webhook,
        phones.hc_webhook,
    ),
)
