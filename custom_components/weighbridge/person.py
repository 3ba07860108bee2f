"""What Garmin holds of one person.

Rule: the time of the measurement decides what is the last weigh-in, never the order of arrival. So an older weigh-in
that arrives late changes the history and nothing else.

Strategy: the last weeks are asked for every half an hour, which also finds what was weighed, corrected or deleted
elsewhere; the days of a weigh-in, as soon as its outcome is known; all years, newest first, once at the start and then
once a day, for the statistics.

Facts: people weigh themselves without the body composition now and then, so a value that the last weigh-in lacks is the
one of a weigh-in before it. Each sensor says when its value was measured. After a month without it, it is unknown.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.debounce import Debouncer
from homeassistant.helpers.dispatcher import async_dispatcher_connect, async_dispatcher_send
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator
from homeassistant.util import dt as dt_util

from .answers import Answer
from .const import CONF_NAME_IN_FUNCTION
from .function import Function
from .history import Statistics, async_clear_others
from .outcomes import ENDED, OUTCOMES, SIGNAL_DELIVERY, delivery_of, measured_at
from .unshown import Unshown

if TYPE_CHECKING:
    from .queue import Item, Outcome
    from .runtime import WeighbridgeEntry

_LOGGER = logging.getLogger(__name__)

_INTERVAL = timedelta(minutes=30)
_HISTORY_INTERVAL = timedelta(days=1)
#: Of the half-hourly request.
_RECENT = timedelta(days=35)
#: How long before the last weigh-in a value may have been measured to be shown.
CARRIED: Final = timedelta(days=31)
_DAY = timedelta(days=1)
#: The function takes no older day.
_BEGINNING = date(2000, 1, 1)
#: How much is asked of Garmin in one request.
_YEARS_AT_ONCE = 5
#: Between two looks because of outcomes.
_COOLDOWN_S = 2
#: How long the start, or an event, waits for Garmin.
_WAIT_S = 10
#: What is asked again once the function is there again, or has been repaired.
_AWAY: Final = ("no-answer", "not-the-function")


@dataclass(frozen=True, slots=True, repr=False)
class WeighIn:
    """One weigh-in in Garmin. `values`: in our names and units, with those that follow from them."""

    id: str
    #: The day on which Garmin lists it.
    day: date
    measured_at: datetime
    values: Mapping[str, float]


class Value(NamedTuple):
    number: float
    measured_at: datetime


@dataclass(frozen=True, slots=True, repr=False)
class Current:
    """What counts now."""

    last: WeighIn | None
    values: Mapping[str, Value]


class Person(DataUpdateCoordinator[Current]):
    """`trouble`: why Garmin could not be read, or None. The entities are unavailable then. The log and the repairs are
    those of `Health`, once for everybody."""

    config_entry: WeighbridgeEntry

    def __init__(
        self,
        hass: HomeAssistant,
        entry: WeighbridgeEntry,
        subentry: ConfigSubentry,
        function: Function,
        unshown: Unshown,
    ) -> None:
        super().__init__(
            hass,
            _LOGGER,
            config_entry=entry,
            name="Weigh-ins",
            update_interval=_INTERVAL,
            request_refresh_debouncer=Debouncer(hass, _LOGGER, cooldown=_COOLDOWN_S, immediate=True),
            always_update=False,
        )
        self.subentry = subentry
        self.name_in_function: str = subentry.data.get(CONF_NAME_IN_FUNCTION, "")
        self.trouble: Answer | None = None
        self.statistics = Statistics(hass)
        self._function = function
        self._unshown = unshown
        self._weigh_ins: dict[str, WeighIn] = {}
        #: Days to look at besides the last weeks.
        self._days: set[date] = set()
        self._history_due: datetime | None = None
        #: Whether all years were read.
        self.complete = False
        #: Whether the statistics are those of the weigh-ins.
        self._is_written = False
        self._reading, self._reading_history = asyncio.Lock(), asyncio.Lock()
        #: Garmin asked to wait.
        self._quiet_until: datetime | None = None
        #: The items of the queue that are not done, and what was said of them.
        self._said: dict[str, tuple[str, str]] = {}

    @property
    def subentry_id(self) -> str:
        return self.subentry.subentry_id

    @property
    def count(self) -> int:
        """How many weigh-ins are known."""
        return len(self._weigh_ins)

    async def async_start(self) -> None:
        """Ask for the first time. What fails is asked again later."""
        entry = self.config_entry
        entry.async_on_unload(
            async_dispatcher_connect(self.hass, f"weighbridge_outcome_{entry.entry_id}", self._after_outcome)
        )
        entry.async_on_unload(entry.runtime_data.health.async_add_listener(self._after_health))
        await self._wait_a_little(self.async_refresh())

    async def async_look(self, *days: date) -> None:
        """Look at these days, too, as soon as possible."""
        self._days.update(days)
        await self.async_request_refresh()

    @callback
    def keep(self, receipt: Answer) -> None:
        """Keep what Garmin will not show of the weigh-in in this receipt."""
        self._unshown.keep(self.subentry_id, receipt)

    async def async_read_history(self) -> bool:
        """Read all years. Returns whether that was possible."""
        async with self._reading_history:
            asked_at = dt_util.utcnow()
            self._history_due = asked_at + _HISTORY_INTERVAL
            for first, last in _years(_tomorrow()):
                if await self._read(first, last):
                    self._history_due = None
                    return False
            self.complete = True
            instants = [weigh_in.measured_at for weigh_in in self._weigh_ins.values()]
            # What was taken a moment ago may not be visible yet.
            self._unshown.forget_others(self.subentry_id, instants, before=asked_at - _DAY)
            self.async_set_updated_data(self._current())
            await self.async_update_statistics()
        await async_clear_others(self.hass)
        return True

    async def async_update_statistics(self) -> None:
        # Before all years are read, the statistics of the others would be deleted.
        if self.complete:
            self._is_written = True
            await self.statistics.async_update(list(self._weigh_ins.values()))

    async def _async_update_data(self) -> Current:
        if self._quiet_until and dt_util.utcnow() < self._quiet_until:
            return self._current()
        tomorrow = _tomorrow()
        recent = tomorrow - _RECENT
        wanted = [(recent, tomorrow), *((day - _DAY, day + _DAY) for day in sorted(self._days) if day <= recent)]
        for first, last in wanted:
            trouble = await self._read(first, last)
            if trouble or self.trouble:
                self.trouble = trouble
                self.async_update_listeners()
            if trouble:
                return self._current()
            self._days = {day for day in self._days if not first < day < last}
        if self._history_due is None or dt_util.utcnow() >= self._history_due:
            self.config_entry.async_create_background_task(
                self.hass, self.async_read_history(), f"weighbridge history {self.subentry_id}"
            )
        elif not self._is_written:
            await self.async_update_statistics()
        return self._current()

    async def _read(self, first: date, last: date) -> Answer | None:
        """Take over what Garmin holds from one day to another. Returns why that was not possible."""
        # One at a time: an answer must not take the place of one that was asked for later.
        async with self._reading:
            return await self._read_now(first, last)

    async def _read_now(self, first: date, last: date) -> Answer | None:
        answer = await self._function.readings(first.isoformat(), last.isoformat(), person=self.name_in_function)
        listed = answer.body.get("readings") if answer.ok else None
        if not isinstance(listed, list):
            if answer.kind == "rate-limited":
                self._quiet_until = dt_util.utcnow() + timedelta(seconds=answer.retry_after_s or 0)
            return answer
        # Years of weigh-ins would hold up the loop.
        read = await self.hass.async_add_executor_job(lambda: [self._weigh_in(each) for each in listed])
        others = [each for each in self._weigh_ins.values() if not first <= each.day <= last]
        weigh_ins = {each.id: each for each in (*others, *read) if each}
        if weigh_ins != self._weigh_ins:
            self._weigh_ins, self._is_written = weigh_ins, False
        return None

    def _weigh_in(self, document: Mapping[str, Any]) -> WeighIn | None:
        at = dt_util.parse_datetime(document["measured_at"])
        values = {
            name: float(value)
            for name, value in document.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }
        if at is None or "weight_kg" not in values:
            return None
        values |= {**dict(_derived(values)), **self._unshown.of(self.subentry_id, at, values["weight_kg"])}
        return WeighIn(document["id"], date.fromisoformat(document["calendar_date"]), at, values)

    def _current(self) -> Current:
        newest_first = sorted(self._weigh_ins.values(), key=lambda each: (each.measured_at, each.id), reverse=True)
        last = newest_first[0] if newest_first else None
        values: dict[str, Value] = {}
        for weigh_in in newest_first:
            if last and last.measured_at - weigh_in.measured_at > CARRIED:
                break
            for name, number in weigh_in.values.items():
                values.setdefault(name, Value(number, weigh_in.measured_at))
        return Current(last, values)

    @callback
    def _after_health(self) -> None:
        """What could not be read while the function was away, or not repaired, is read now."""
        health = self.config_entry.runtime_data.health
        if self.trouble is None or not health.last_update_success:
            return
        if self.trouble.kind in _AWAY or (self.trouble.again == "after_repair" and health.data.worst.ready):
            self.hass.async_create_task(self.async_request_refresh(), "weighbridge weigh-ins")

    async def _after_outcome(self, outcome: Outcome) -> None:
        item, answer, kind = outcome.item, outcome.answer, outcome.kind
        if kind not in OUTCOMES or not self.is_theirs(item, answer):
            return
        # An attempt that fails like the one before changes nothing.
        is_new = self._said.get(item.id) != (said := (kind, answer.kind))
        self._said[item.id] = said
        if answer.final or kind in ENDED:
            del self._said[item.id]
        at = measured_at(answer)
        if at and (is_new or answer.final):
            self.keep(answer)
            self._days.add(at.date())
            # Whoever hears of the outcome finds the sensors as they are then.
            await self._wait_a_little(self.async_refresh())
        if is_new:
            async_dispatcher_send(self.hass, SIGNAL_DELIVERY, delivery_of(self.subentry_id, item, answer, kind))

    async def _wait_a_little(self, reading: Coroutine[Any, Any, None]) -> None:
        """Wait for what is read, but not for long. It goes on."""
        task = self.config_entry.async_create_background_task(self.hass, reading, f"weighbridge {self.subentry_id}")
        await asyncio.wait([task], timeout=_WAIT_S)

    def is_theirs(self, item: Item, answer: Answer) -> bool:
        """Whether a reading is this person's, or may be."""
        if item.subentry_id is not None:
            return item.subentry_id == self.subentry_id
        if candidates := answer.candidates or item.candidates:
            return self.name_in_function in candidates
        # Whom the function recognized is in its receipt.
        fields = answer.body.get("fields")
        names = [field["value"] for field in fields if field["name"] == "person"] if isinstance(fields, list) else []
        return self.name_in_function in names if names else len(self.config_entry.runtime_data.people) == 1


def _tomorrow() -> date:
    # Garmin's days are those of the account, which may be ahead.
    return dt_util.utcnow().date() + _DAY


def _years(last: date) -> Iterator[tuple[date, date]]:
    """First and last days, newest first."""
    while last >= _BEGINNING:
        first = max(date(last.year - _YEARS_AT_ONCE + 1, 1, 1), _BEGINNING)
        yield first, last
        last = first - _DAY


def _derived(values: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    """What follows from the values that Garmin has."""
    weight, fat, water = (values.get(name) for name in ("weight_kg", "body_fat_percent", "body_water_percent"))
    if weight is not None and fat is not None:
        fat_mass = round(weight * fat / 100, 2)
        yield "fat_mass_kg", fat_mass
        yield "fat_free_mass_kg", round(weight - fat_mass, 2)
    if weight is not None and water is not None:
        yield "body_water_kg", round(weight * water / 100, 2)
