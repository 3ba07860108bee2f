"""Long-term statistics: each weigh-in in the hour in which it was measured."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from homeassistant.components.recorder import Recorder
from homeassistant.components.recorder.statistics import (
    get_metadata,
    list_statistic_ids,
    statistics_during_period,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.recorder import get_instance
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.components.recorder.common import async_wait_recording_done

from tests.garmin.faults import Planned

from .running import RunningFunction
from .test_sensor import add, refresh, state

Until = Callable[[Callable[[], object]], Awaitable[None]]

HOUR = dt_util.utcnow().replace(minute=0, second=0, microsecond=0) - timedelta(hours=30)
LONG_AGO = datetime(2009, 3, 1, 6, 0, tzinfo=UTC)


@pytest.fixture
def persistent_database() -> bool:
    """A database in a file, as people have it. The harness shares one connection to one in memory among all threads."""
    return True


@pytest.fixture(autouse=True)
def _custom_integrations(recorder_mock: Recorder, enable_custom_integrations: None) -> None:
    """Let Home Assistant find custom_components/. The recorder has to be there first."""


def weigh(function: RunningFunction, *weigh_ins: tuple[datetime, float]) -> None:
    """Weigh-ins that reached Garmin in some other way."""
    function.garmin.weights.add(
        *({"timestamp": int(at.timestamp()) - 631_065_600, "weight": round(kg * 100)} for at, kg in weigh_ins)
    )


async def rows(hass: HomeAssistant, name: str = "runner_weight") -> dict[datetime, tuple[float, float, float]]:
    """Mean, lowest and highest value of each hour in the recorder."""
    await hass.async_block_till_done(wait_background_tasks=True)
    await async_wait_recording_done(hass)
    series = f"weighbridge:{name}"
    found = await get_instance(hass).async_add_executor_job(
        statistics_during_period,
        hass,
        datetime(1990, 1, 1, tzinfo=UTC),
        None,
        {series},
        "hour",
        None,
        {"mean", "min", "max"},
    )
    return {
        datetime.fromtimestamp(row["start"], UTC): (pytest.approx(row["mean"]), row["min"], row["max"])
        for row in found.get(series, [])
    }


def minutes(count: int) -> timedelta:
    return timedelta(minutes=count)


async def test_whole_history(
    hass: HomeAssistant, function: RunningFunction, entry: MockConfigEntry, recorder_mock: Recorder
) -> None:
    """At the first start, each weigh-in of all years is in the hour in which it was measured, and no other hour."""
    weigh(function, (LONG_AGO, 90.0), (HOUR + minutes(5), 82.0), (HOUR + minutes(50), 81.0))
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert await rows(hass) == {LONG_AGO: (90.0, 90.0, 90.0), HOUR: (81.5, 81.0, 82.0)}
    [listed] = await get_instance(hass).async_add_executor_job(list_statistic_ids, hass, {"weighbridge:runner_weight"})
    assert (listed["name"], listed["statistics_unit_of_measurement"], listed["unit_class"]) == (
        "Runner Weight",
        "kg",
        "mass",
    )


async def test_late_reading(
    hass: HomeAssistant, loaded: MockConfigEntry, function: RunningFunction, until: Until
) -> None:
    """A reading that arrives late enters its own hour, and not that of its arrival."""
    await add(hass, HOUR + minutes(5), weight_kg=81.4)
    await until(lambda: state(hass, "weight").state == "81.4")
    late = HOUR - timedelta(days=400)
    await add(hass, late + minutes(59), weight_kg=86.0)
    await until(lambda: loaded.runtime_data.people and len(function.weights()) == 2)
    await refresh(hass, loaded)
    assert await rows(hass) == {late: (86.0, 86.0, 86.0), HOUR: (81.4, 81.4, 81.4)}


async def test_deletion_and_correction(hass: HomeAssistant, function: RunningFunction, entry: MockConfigEntry) -> None:
    """What is deleted in Garmin leaves no hour behind, and what is corrected has its new value."""
    weigh(function, (LONG_AGO, 90.0), (HOUR + minutes(5), 20.0), (HOUR - timedelta(hours=5), 82.0))
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert len(await rows(hass)) == 3
    function.garmin.weights.entries = []
    weigh(function, (LONG_AGO, 90.0), (HOUR - timedelta(hours=5), 81.0))
    await refresh(hass, entry)
    assert await rows(hass) == {LONG_AGO: (90.0, 90.0, 90.0), HOUR - timedelta(hours=5): (81.0, 81.0, 81.0)}


async def test_deletion_of_years_ago(hass: HomeAssistant, function: RunningFunction, entry: MockConfigEntry) -> None:
    """Also a weigh-in of years ago that was deleted leaves the statistics, with the daily look at all years."""
    weigh(function, (LONG_AGO, 90.0), (HOUR, 81.0))
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert len(await rows(hass)) == 2
    function.garmin.weights.entries = []
    weigh(function, (HOUR, 81.0))
    [person] = entry.runtime_data.people.values()
    assert await person.async_read_history()
    assert await rows(hass) == {HOUR: (81.0, 81.0, 81.0)}


async def test_same_history_writes_nothing(
    hass: HomeAssistant,
    function: RunningFunction,
    entry: MockConfigEntry,
    monkeypatch: pytest.MonkeyPatch,
    recorder_mock: Recorder,
) -> None:
    """The same history is written once: not again after half an hour, a day or a restart."""
    weigh(function, (LONG_AGO, 90.123), (HOUR + minutes(5), 82.01), (HOUR + minutes(9), 81.02), (HOUR, 80.05))
    assert await hass.config_entries.async_setup(entry.entry_id)
    before = await rows(hass)
    written: list[object] = []
    monkeypatch.setattr(recorder_mock, "async_import_statistics", lambda *args: written.append(args))
    monkeypatch.setattr(recorder_mock, "async_clear_statistics", lambda *args, **more: written.append(args))
    await refresh(hass, entry)
    [person] = entry.runtime_data.people.values()
    assert await person.async_read_history()
    assert await hass.config_entries.async_reload(entry.entry_id)
    assert await rows(hass) == before
    assert written == []


async def test_renamed_sensor(hass: HomeAssistant, function: RunningFunction, entry: MockConfigEntry) -> None:
    """The statistics follow the id of their sensor; under the old id nothing stays."""
    weigh(function, (HOUR, 81.0))
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert await rows(hass)
    er.async_get(hass).async_update_entity("sensor.runner_weight", new_entity_id="sensor.my_weight")
    await hass.async_block_till_done(wait_background_tasks=True)
    assert await rows(hass, "my_weight") == {HOUR: (81.0, 81.0, 81.0)}
    [person] = entry.runtime_data.people.values()
    assert await person.async_read_history()
    assert await rows(hass) == {}


@pytest.mark.fault(14)
async def test_removal(
    hass: HomeAssistant, function: RunningFunction, entry: MockConfigEntry, recorder_mock: Recorder
) -> None:
    """With the entry, its statistics are removed."""
    weigh(function, (HOUR, 81.0))
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert await rows(hass)
    assert await hass.config_entries.async_remove(entry.entry_id)
    assert await rows(hass) == {}
    left = await get_instance(hass).async_add_executor_job(lambda: get_metadata(hass, statistic_source="weighbridge"))
    assert left == {}


async def test_part_of_a_history_deletes_nothing(
    hass: HomeAssistant, function: RunningFunction, entry: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If only the last weeks can be read after a restart, the statistics of the years before stay."""
    weigh(function, (LONG_AGO, 90.0), (HOUR, 81.0))
    assert await hass.config_entries.async_setup(entry.entry_id)
    before = await rows(hass)
    assert await hass.config_entries.async_unload(entry.entry_id)
    function.garmin.faults.add("weight/range", "429", times=None)
    planned, asked = function.garmin.faults.next_for, []

    def after_the_first(route: str) -> Planned | None:
        asked.append(route)
        return planned(route) if len(asked) > 1 else None

    monkeypatch.setattr(function.garmin.faults, "next_for", after_the_first)
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert await rows(hass) == before
    [person] = entry.runtime_data.people.values()
    assert (person.count, person.complete, len(asked)) == (1, False, 2)
    assert state(hass, "weight").state == "81.0"


async def test_trend_card(hass: HomeAssistant, loaded: MockConfigEntry, until: Until) -> None:
    """Every series and every sensor of the trend card is there after a weigh-in."""
    await add(hass)
    await until(lambda: state(hass, "weight").state == "81.4")
    await refresh(hass, loaded)
    assert await rows(hass)
    series = await get_instance(hass).async_add_executor_job(lambda: get_metadata(hass, statistic_source="weighbridge"))
    card = Path("integrations/home_assistant/trend.yaml").read_text()
    named = set(re.findall(r"(?:sensor\.|weighbridge:)runner_\w+", card))
    assert len(named) == 8
    assert named <= {*series, *hass.states.async_entity_ids("sensor")}
