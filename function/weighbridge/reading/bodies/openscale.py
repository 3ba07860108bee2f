"""openScale-sync: its webhook and its messages over MQTT.

Facts (oliexdev/openScale-sync, WebhookSync.kt, MQTTSync.kt and OpenScaleMeasurement.kt): the event is in the body
(webhook) or in the topic (MQTT). `values` is the single source of truth, with units; weight, fat, water and muscle
beside it are derived from it. Zero means that a value was not measured.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ...reasons import Why
from ..dialects import Role, is_missing, normal
from .items import (
    Action,
    Document,
    Item,
    Values,
    amount,
    is_weight,
    meaning_of,
    nothing,
    put,
    refused,
    rows_in,
    spread,
    text_in,
)

_TOPIC = re.compile(r"openScaleSync/(?:.{1,80}/)?(insert|update|delete|clear|all|last|history|test)")
_EVENTS: Mapping[str, tuple[Action, str]] = {
    "insert": (Action.WEIGH_IN, ""),
    "all": (Action.WEIGH_IN, ""),
    "last": (Action.WEIGH_IN, ""),
    "history": (Action.WEIGH_IN, ""),
    "update": (Action.REPLACE, ""),
    "delete": (Action.TAKE_BACK, ""),
    "clear": (Action.NOTHING, "The list was cleared at its source. Nothing was deleted in Garmin Connect."),
    "test": (Action.NOTHING, "The test arrived. Nothing was sent to Garmin."),
}
#: Lists of what there is, and there may be nothing.
_MAY_BE_EMPTY = frozenset(("all", "last", "history"))
_EVENT_EXPECTED = Why.EVENT_EXPECTED(known=tuple(_EVENTS))


def fits(document: Document) -> bool:
    return isinstance(document.get("event"), str) or _has_values(document)


def _has_values(document: Document) -> bool:
    values = document.get("values")
    return isinstance(values, list) and any(isinstance(each, dict) and "key" in each for each in values)


def unpack(document: Document) -> Iterator[Item]:
    said = document.get("event", "insert")
    event = said.strip().casefold() if isinstance(said, str) else ""
    if event not in _EVENTS:
        raise refused("event", said, _EVENT_EXPECTED)
    action, text = _EVENTS[event]
    if action is Action.NOTHING:
        yield nothing(document, text)
        return
    if "measurements" in document:
        rows = [_row(row) for row in rows_in(document, "measurements")]
        items = spread(rows, document, ("event", "measurements"))
    else:
        items = iter([Item(_row({key: value for key, value in document.items() if key != "event"}))])
    for item in items:
        values = item.payload if isinstance(item.payload, dict) else {}
        if action is Action.TAKE_BACK and not _has_time(values):
            raise refused("date", None, Why.TIME_OF_DELETION_MISSING())
        if event in _MAY_BE_EMPTY and not any(map(is_weight, values.items())):
            yield nothing({**values, "event": event}, f"The event {event!r} came without a weight. Nothing was sent.")
        else:
            yield item if action is Action.WEIGH_IN else Item({**values, "event": event}, action)


def _row(row: Document) -> Values:
    if not _has_values(row):
        return dict(row)
    known: Values = {}
    for each in rows_in(row, "values"):
        key = each.get("key", each.get("name"))
        name = str(key).casefold() if isinstance(key, str) and len(key) <= 40 else "value without a key"
        if name == "custom" and isinstance(number := each.get("typeId"), int):
            name = f"custom_{number}"
        put(known, name, amount(each.get("value", each.get("text")), text_in(each.get("unit")).strip()))
    # The values next to the list are derived from it.
    derived = {normal(key) for key in known} | ({"fat"} if "body_fat" in known else set())
    return {key: value for key, value in row.items() if key != "values" and normal(key) not in derived} | known


def _has_time(values: Document) -> bool:
    return any(meaning_of(key) is Role.TIME and not is_missing(value) for key, value in values.items())


def with_topic(topic: str, document: object) -> object:
    """A message of MQTT -> the document with the event that openScale-sync says only in the topic."""
    if (found := _TOPIC.fullmatch(topic)) is None:
        return document
    return {**(document if isinstance(document, dict) else {}), "event": found[1]}
