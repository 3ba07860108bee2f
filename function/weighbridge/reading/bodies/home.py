"""Home automation: Tasmota as a Bluetooth gateway, and states of Home Assistant."""

from __future__ import annotations

from collections.abc import Iterator

from ..dialects import is_missing, normal
from ..quantities import LONGEST_TEXT, UNITS
from .items import (
    Document,
    Item,
    Values,
    amount,
    object_in,
    spread,
    text_in,
)

# -- Tasmota -----------------------------------------------------------------------------------------------

# arendst/Tasmota, pull requests 13517 and 25049: one object a sensor, next to the time of the device.


#: The units of other sensors.
_OTHER_UNITS = ("TempUnit", "PressureUnit", "SpeedUnit")


def is_tasmota(document: Document) -> bool:
    return "Time" in document and any(map(_is_scale, document.values()))


def _is_scale(value: object) -> bool:
    return isinstance(value, dict) and any(len(key) <= LONGEST_TEXT and normal(key) == "weight" for key in value)


def tasmota(document: Document) -> Iterator[Item]:
    scales = {key: value for key, value in document.items() if isinstance(value, dict) and _is_scale(value)}
    payloads = [{"Time": document["Time"], **scale} for scale in scales.values()]
    yield from spread(payloads, document, ("Time", *scales, *_OTHER_UNITS))


# -- Home Assistant ----------------------------------------------------------------------------------------

# developers.home-assistant.io, REST and WebSocket interfaces: a state object, alone or as `new_state` of an event, or
# as `to_state` of a trigger. `last_updated` is when Home Assistant got the value (a restart counts too), so it is the
# time of receipt.
_WRAPPERS = ("event", "data", "new_state", "to_state", "trigger")
_OF_THE_EVENT = (
    *_WRAPPERS,
    *("old_state", "from_state", "event_type", "origin", "time_fired", "context", "type", "id", "platform", "for"),
)
_STATE_TIMES = ("last_updated", "last_changed", "last_reported")
_OF_THE_STATE = ("state", "attributes", "context", *_STATE_TIMES)


def is_state(document: Document) -> bool:
    return _state_in(document) is not None


def _state_in(document: Document) -> tuple[Document, Document] | None:
    """The state object in a document, and what is around it."""
    around: dict[str, object] = {}
    for _ in range(len(_WRAPPERS)):
        if "state" in document and isinstance(document.get("attributes"), dict):
            return document, around
        wrapper = next((key for key in _WRAPPERS if isinstance(document.get(key), dict)), None)
        if wrapper is None:
            return None
        around |= {key: value for key, value in document.items() if key not in _OF_THE_EVENT}
        document = object_in(document, wrapper)
    return None


def state(document: Document) -> Iterator[Item]:
    found = _state_in(document)
    if found is None:
        return
    state, around = found
    attributes = object_in(state, "attributes")
    value = state.get("state")
    values: Values = {key: each for key, each in state.items() if key not in _OF_THE_STATE}
    unit = attributes.get("unit_of_measurement")
    if not _is_scale(attributes):
        is_weight = attributes.get("device_class") == "weight" or UNITS.get(text_in(unit).casefold()) in _MASSES
        values["weight" if is_weight else "state"] = amount(value, text_in(unit)) if is_weight else value
        values |= {key: each for key, each in attributes.items() if key != "unit_of_measurement"}
    else:
        values |= {"state": value, **attributes}
    receipt = next((state[key] for key in _STATE_TIMES if key in state), None)
    if not is_missing(receipt):
        values.setdefault("received_at", receipt)
    yield Item({**around, **values})


_MASSES = frozenset(("kg", "g", "lb", "st", "jin"))
