"""Readings from the entities of a device: bodymiscale, HA-Fitdays, Renpho, a scale by Bluetooth or MQTT discovery.

Rule: a weigh-in is a newer time of measurement or, from a device without a time, a value that changed while Home
Assistant was looking. A state that is unknown, unavailable or restored does not count, nor does one that returns with
the value that it had.

Strategy: values that come one after another are one reading: it is stored at the first, extended at each, and sent when
none came for a while. A value belongs to it if it was reported meanwhile. Integrations that report only what changed
leave out an equal body fat; so if a percentage was reported, the composition was measured, and all values count.

Facts: bodymiscale has `last_measurement_time`, a `datetime`, as the state of a sensor or as an attribute; HA-Fitdays
has `last_measurement`. The integrations for Renpho put the scale or the person before each name ("Renpho Body Fat",
"Anna's Weight"), and have goals beside the values. A state's `last_reported` is new with each report, also of the same
value. With `force_update` an equal value is a change.

Weakness: a device without a time that shows exactly the values it had is not noticed. What comes after the values have
settled, with the same time, is not sent. On a device with entities of several people no weight is recognized, and its
readings are rejected: each person chooses their own entities instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final

from homeassistant.components.sensor import SensorDeviceClass
from homeassistant.config_entries import ConfigSubentry
from homeassistant.const import (
    ATTR_DEVICE_CLASS,
    ATTR_RESTORED,
    ATTR_UNIT_OF_MEASUREMENT,
    PERCENTAGE,
    STATE_UNAVAILABLE,
    STATE_UNKNOWN,
    UnitOfMass,
)
from homeassistant.core import CALLBACK_TYPE, Event, EventStateChangedData, HomeAssistant, State, callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.event import async_call_later, async_track_state_change_event
from homeassistant.util import dt as dt_util
from homeassistant.util import slugify

if TYPE_CHECKING:
    from ..runtime import WeighbridgeEntry

#: How long values of one reading may be apart, and how long they may take in all.
SETTLE_S: Final = 10.0
LONGEST_S: Final = 60.0

_NO_STATE = (STATE_UNKNOWN, STATE_UNAVAILABLE)
_DOMAINS = ("sensor", "binary_sensor", "number", "input_number")
#: The kinds of sensors that a body has. Others are those of the device: its battery, its signal.
_KINDS = (None, SensorDeviceClass.WEIGHT, SensorDeviceClass.ENUM)
#: What a name has in it: that of the time of a measurement, and that of a live value or of a goal.
_TIME = ("measure", "weigh", "timestamp")
_NOT_THE_LAST = ("first", "next")
_NOT_MEASURED = ("non_stabilized", "unstable", "target", "goal")


@dataclass(frozen=True, slots=True)
class _Part:
    """What one entity says."""

    values: Mapping[str, Any]
    #: Whether it was reported since the reading began.
    fresh: bool
    #: Whether it shows that the composition was measured, and whether it may be the weight.
    is_percentage: bool = False
    is_mass: bool = False


class Entities:
    """The entities of a device, or some that were chosen, and the people who have them."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: WeighbridgeEntry,
        device: str,
        chosen: Sequence[str],
        owners: Sequence[ConfigSubentry],
    ) -> None:
        self._hass, self._entry, self._device, self._chosen = hass, entry, device, chosen
        self._owner = owners[0] if len(owners) == 1 else None
        self._source = f"device:{device}" if device else f"entities:{','.join(chosen)}"
        #: What each entity said last, while Home Assistant was looking.
        self._known: dict[str, str] = {}
        self._ids: tuple[str, ...] = ()
        self._began = dt_util.utcnow()
        #: Of the reading that settles.
        self._since: datetime | None = None
        self._ends_at = 0.0
        self._item_id: str | None = None
        self._lock = asyncio.Lock()
        self._looking = False
        self._stop_tracking: CALLBACK_TYPE | None = None
        self._stop_timer: CALLBACK_TYPE | None = None

    async def async_start(self) -> None:
        self._follow()
        for state in self._states():
            if state.state not in _NO_STATE:
                self._known[state.entity_id] = _said(state)
        queue, measured_at = self._entry.runtime_data.queue, self._measured_at()
        if measured_at and queue.mark_of(self._source) is None:
            # What it shows when it is chosen was there before.
            await queue.remember(self._source, measured_at.isoformat())
        elif measured_at and self._is_newer(measured_at):
            # Somebody weighed in while this was not running.
            self._begin_or_go_on()
        self._entry.async_on_unload(
            self._hass.bus.async_listen(er.EVENT_ENTITY_REGISTRY_UPDATED, self._registry_changed)
        )
        self._entry.async_on_unload(self._stop)

    @callback
    def _stop(self) -> None:
        # A reading that settles is stored, and sent after the next start.
        for stop in (self._stop_tracking, self._stop_timer):
            if stop:
                stop()
        self._stop_tracking = self._stop_timer = None

    # -- entities ------------------------------------------------------------------------------------------

    @callback
    def _registry_changed(self, _event: Event[er.EventEntityRegistryUpdatedData]) -> None:
        if self._stop_tracking:
            self._follow()

    @callback
    def _follow(self) -> None:
        """Listen to the entities, as they are now."""
        ids = tuple(self._chosen)
        if self._device:
            entries = er.async_entries_for_device(er.async_get(self._hass), self._device)
            ids = tuple(sorted(entry.entity_id for entry in entries if entry.platform != "weighbridge"))
        if ids == self._ids and self._stop_tracking:
            return
        if self._stop_tracking:
            self._stop_tracking()
        self._ids = ids
        self._stop_tracking = async_track_state_change_event(self._hass, ids, self._changed)

    def _states(self) -> Iterator[State]:
        for entity_id in self._ids:
            if state := self._hass.states.get(entity_id):
                yield state

    def _key(self, state: State) -> str:
        """What the integration of an entity calls it."""
        registry = er.async_get(self._hass)
        entity = registry.async_get(state.entity_id)
        if entity and entity.translation_key:
            return entity.translation_key
        if entity and entity.original_name:
            others = [other for entity_id in self._ids if (other := registry.async_get(entity_id))]
            names = [other.original_name for other in others if other.original_name and not other.entity_category]
            return _own_part(entity.original_name, names, " ")
        return _own_part(state.object_id, [entity_id.partition(".")[2] for entity_id in self._ids], "_")

    # -- changes -------------------------------------------------------------------------------------------

    @callback
    def _changed(self, event: Event[EventStateChangedData]) -> None:
        new, old = event.data["new_state"], event.data["old_state"]
        if new is None or new.state in _NO_STATE or new.attributes.get(ATTR_RESTORED):
            return
        said, before = _said(new), self._known.get(new.entity_id)
        self._known[new.entity_id] = said
        # With force_update, an integration says that an equal value is a new one.
        forced = old is not None and old.state == new.state and old.last_changed != new.last_changed
        is_news = said != before or forced
        if self._measured_at() is None:
            # Without a time, the first value may be that of a weigh-in long ago.
            is_news = is_news and before is not None and self._is_value(new)
        if is_news:
            self._begin_or_go_on()

    def _is_value(self, state: State) -> bool:
        return any(part.values for part in self._parts_of(state, dt_util.utcnow()))

    @callback
    def _begin_or_go_on(self) -> None:
        now = self._hass.loop.time()
        if self._since is None:
            self._since, self._ends_at = dt_util.utcnow(), now + LONGEST_S
        if self._stop_timer:
            self._stop_timer()
        self._stop_timer = async_call_later(self._hass, max(0.0, min(SETTLE_S, self._ends_at - now)), self._end)
        if not self._looking:
            self._looking = True
            self._entry.async_create_task(self._hass, self._look(), "weighbridge entities", eager_start=False)

    async def _look(self) -> None:
        """Store what the entities say. It starts after the values that came at once are all there."""
        async with self._lock:
            self._looking = False
            if self._since is None:
                return
            queue, measured_at = self._entry.runtime_data.queue, self._measured_at()
            mark = (self._source, measured_at.isoformat()) if measured_at else None
            if measured_at and self._item_id is None and not self._is_newer(measured_at):
                if queue.mark_of(self._source) is None and mark:
                    await queue.remember(*mark)
                return
            # What was reported after the weigh-in belongs to it.
            since = min(self._since, measured_at) if measured_at else self._since
            if (reading := self._reading(since)) is None:
                return
            if self._item_id is not None:
                await queue.change(self._item_id, reading, mark)
                return
            self._item_id = await queue.add(
                reading,
                subentry_id=self._owner.subentry_id if self._owner else None,
                source=self._name(),
                received_at=self._since,
                mark=mark,
                settling=True,
            )

    async def _end(self, _now: datetime) -> None:
        self._stop_timer = None
        async with self._lock:
            item_id, self._item_id, self._since = self._item_id, None, None
            if item_id is not None:
                await self._entry.runtime_data.queue.settled(item_id)

    def _is_newer(self, measured_at: datetime) -> bool:
        """Whether a time of measurement is a new weigh-in."""
        before = dt_util.parse_datetime(self._entry.runtime_data.queue.mark_of(self._source) or "")
        return measured_at > (before or self._began - timedelta(seconds=LONGEST_S))

    def _name(self) -> str:
        device = dr.async_get(self._hass).async_get(self._device) if self._device else None
        return (device.name_by_user or device.name or self._device) if device else ", ".join(self._chosen)

    # -- values --------------------------------------------------------------------------------------------

    def _measured_at(self) -> datetime | None:
        """The latest time of measurement that an entity has as its state or as an attribute."""
        return max((time for state in self._states() for time in self._times(state)), default=None)

    def _times(self, state: State) -> Iterator[datetime]:
        for name, value in state.attributes.items():
            if (time := _time(name, value)) is not None:
                yield time
        if state.attributes.get(ATTR_DEVICE_CLASS) == SensorDeviceClass.TIMESTAMP:
            named = f"{self._key(state)} {state.object_id}"
            if (time := _time(named, dt_util.parse_datetime(state.state))) is not None:
                yield time

    def _reading(self, since: datetime) -> dict[str, Any] | None:
        """The values that were measured now, by the names and in the units of their integration; None without any that
        may be the weight."""
        parts = [part for state in self._states() for part in self._parts_of(state, since)]
        # What an entity has as attributes is whole: the sensors repeat it.
        parts.sort(key=lambda part: len(part.values), reverse=True)
        if not any(part.fresh and part.is_percentage for part in parts):
            parts = [part for part in parts if part.fresh]
        if not any(part.is_mass for part in parts):
            return None
        reading: dict[str, Any] = {}
        said: set[str] = set()
        for part in parts:
            new = {name: value for name, value in part.values.items() if slugify(name) not in said}
            reading |= new
            said |= {slugify(name) for name in new}
        if measured_at := self._measured_at():
            reading = {name: value for name, value in reading.items() if _time(name, value) is None}
            reading["measured_at"] = measured_at
        return reading

    def _parts_of(self, state: State, since: datetime) -> Iterator[_Part]:
        attributes = state.attributes
        if state.state in _NO_STATE or attributes.get(ATTR_RESTORED):
            return
        fresh = state.last_reported >= since - timedelta(seconds=SETTLE_S)
        if _carries_weight(attributes):
            yield _Part(dict(attributes), fresh, is_mass=True)
            return
        key, entity = self._key(state), er.async_get(self._hass).async_get(state.entity_id)
        if state.domain not in _DOMAINS or attributes.get(ATTR_DEVICE_CLASS) not in _KINDS:
            return
        if entity and entity.entity_category:
            return  # a diagnosis or a setting of the device
        if any(word in slugify(key) for word in _NOT_MEASURED):
            return
        unit = attributes.get(ATTR_UNIT_OF_MEASUREMENT)
        yield _Part(
            {key: f"{state.state} {unit}" if unit else state.state},
            fresh,
            is_percentage=unit == PERCENTAGE,
            is_mass=unit in list(UnitOfMass) or attributes.get(ATTR_DEVICE_CLASS) == SensorDeviceClass.WEIGHT,
        )


def _own_part(name: str, names: Sequence[str], between: str) -> str:
    """The part of a name by which it differs from the others: `body_fat` of `anna_body_fat`, beside `anna_weight`."""
    words = [each.split(between) for each in names]
    same = sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, zip(*words, strict=False)))
    return between.join(name.split(between)[same:]) or name


def _carries_weight(attributes: Mapping[str, Any]) -> bool:
    """Whether the attributes are a reading, as those of bodymiscale and of xiaomi_mi_scale are."""
    return any(name.casefold() == "weight" for name in attributes)


def _said(state: State) -> str:
    """What a state says of a reading."""
    times = [value for name, value in state.attributes.items() if _time(name, value) is not None]
    carried = dict(state.attributes) if _carries_weight(state.attributes) else {}
    return repr((state.state, times, carried))


def _time(name: str, value: object) -> datetime | None:
    """The time of a measurement, if this is one."""
    folded = name.casefold()
    if not any(word in folded for word in _TIME) or any(word in folded for word in _NOT_THE_LAST):
        return None
    if isinstance(value, str):
        value = dt_util.parse_datetime(value)
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=dt_util.get_default_time_zone())
