"""Long-term statistics of what Garmin holds, each weigh-in at its own time.

Rule: the hours of a series are exactly those of the weigh-ins that Garmin holds, with the mean, the lowest and the
highest value. A reading that arrives late enters the hour in which it was measured. What is deleted or corrected in
Garmin is deleted or corrected here.

Facts: Home Assistant writes the statistics of a sensor by itself, at the time at which its state changes, and as one
transaction for all sensors. Rows that somebody else writes for the same sensor collide with it, and a row cannot be
deleted alone. So these are external statistics: `weighbridge:anna_weight` belongs to `sensor.anna_weight`.

Strategy: what the database holds is read once. After that, only what differs is written, so the same history writes
nothing. If an hour has to go, the series is cleared and written again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from homeassistant.const import Platform
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.recorder import get_instance
from homeassistant.util.unit_conversion import MassConverter

from .const import DOMAIN

if TYPE_CHECKING:
    from .person import WeighIn


class Hour(NamedTuple):
    """The weigh-ins of one hour."""

    mean: float
    low: float
    high: float


@dataclass(slots=True)
class _Series:
    """The statistics of one sensor."""

    statistic_id: str
    name: str
    unit: str | None
    #: What the database holds, by the start of the hour. None: not read yet.
    stored: dict[datetime, Hour] | None = None


def hours_of(key: str, weigh_ins: Iterable[WeighIn]) -> dict[datetime, Hour]:
    """The hours in which this value was measured."""
    values: dict[datetime, list[float]] = {}
    for weigh_in in weigh_ins:
        if (value := weigh_in.values.get(key)) is not None:
            start = weigh_in.measured_at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
            values.setdefault(start, []).append(value)
    return {start: Hour(sum(of) / len(of), min(of), max(of)) for start, of in values.items()}


def statistic_id(entity_id: str) -> str:
    return f"{DOMAIN}:{entity_id.partition('.')[2]}"


class Statistics:
    """Those of one person."""

    def __init__(self, hass: HomeAssistant) -> None:
        self._hass = hass
        self._series: dict[str, _Series] = {}
        self._one_at_a_time = asyncio.Lock()

    @callback
    def name(self, key: str, entity_id: str, name: str, unit: str | None) -> None:
        """The sensor of a value has this entity id. It may be another one than before."""
        self._series[key] = _Series(statistic_id(entity_id), name, unit)

    async def async_update(self, weigh_ins: Sequence[WeighIn]) -> None:
        """Make the statistics those of these weigh-ins."""
        if not _is_recorded(self._hass):
            return
        async with self._one_at_a_time:
            for key, series in list(self._series.items()):
                # Years of weigh-ins would hold up the loop.
                hours = await self._hass.async_add_executor_job(hours_of, key, weigh_ins)
                await self._write(series, hours)

    async def _write(self, series: _Series, hours: dict[datetime, Hour]) -> None:
        # Imported when needed: without the recorder, its libraries are not installed.
        from homeassistant.components.recorder.models import StatisticData, StatisticMeanType, StatisticMetaData
        from homeassistant.components.recorder.statistics import async_add_external_statistics

        recorder = get_instance(self._hass)
        if series.stored is None:
            series.stored = await recorder.async_add_executor_job(_stored, self._hass, series.statistic_id)
        stored = series.stored
        if stored.keys() - hours.keys():
            recorder.async_clear_statistics([series.statistic_id])
            stored = {}
        if new := {start: hour for start, hour in hours.items() if stored.get(start) != hour}:
            metadata = StatisticMetaData(
                mean_type=StatisticMeanType.ARITHMETIC,
                has_sum=False,
                name=series.name,
                source=DOMAIN,
                statistic_id=series.statistic_id,
                unit_class=MassConverter.UNIT_CLASS if series.unit in MassConverter.VALID_UNITS else None,
                unit_of_measurement=series.unit,
            )
            rows = [
                StatisticData(start=start, mean=hour.mean, min=hour.low, max=hour.high)
                for start, hour in sorted(new.items())
            ]
            async_add_external_statistics(self._hass, metadata, rows)
        series.stored = hours


async def async_clear_others(hass: HomeAssistant) -> None:
    """Clear the statistics of sensors that are not there any more."""
    registry = er.async_get(hass)
    used = {
        statistic_id(entity.entity_id)
        for entry in hass.config_entries.async_entries(DOMAIN)
        for entity in er.async_entries_for_config_entry(registry, entry.entry_id)
        if entity.domain == Platform.SENSOR
    }
    await _async_clear(hass, but=used)


async def async_clear(hass: HomeAssistant, entry_id: str) -> None:
    """Clear the statistics of an entry that is removed."""
    gone = {statistic_id(e.entity_id) for e in er.async_entries_for_config_entry(er.async_get(hass), entry_id)}
    await _async_clear(hass, only=gone)


async def _async_clear(hass: HomeAssistant, *, but: Collection[str] = (), only: Collection[str] | None = None) -> None:
    if not _is_recorded(hass):
        return
    from homeassistant.components.recorder.statistics import get_metadata

    def ours() -> Mapping[str, object]:
        return get_metadata(hass, statistic_source=DOMAIN)

    recorder = get_instance(hass)
    found = await recorder.async_add_executor_job(ours)
    if gone := [name for name in found if name not in but and (only is None or name in only)]:
        recorder.async_clear_statistics(gone)


def _is_recorded(hass: HomeAssistant) -> bool:
    return "recorder" in hass.config.components


def _stored(hass: HomeAssistant, series: str) -> dict[datetime, Hour]:
    """The hours in the database."""
    from homeassistant.components.recorder.statistics import statistics_during_period

    beginning = datetime(1990, 1, 1, tzinfo=UTC)
    found = statistics_during_period(hass, beginning, None, {series}, "hour", None, {"mean", "min", "max"})
    return {
        datetime.fromtimestamp(row["start"], UTC): Hour(mean, low, high)
        for row in found.get(series, [])
        if (mean := row.get("mean")) is not None
        and (low := row.get("min")) is not None
        and (high := row.get("max")) is not None
    }
