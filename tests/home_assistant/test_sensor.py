"""What a person sees: the sensors and the event."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from homeassistant.core import HomeAssistant, State
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry

from .running import RunningFunction

Until = Callable[[Callable[[], object]], Awaitable[None]]

MORNING = dt_util.utcnow().replace(microsecond=0) - timedelta(hours=3)
NINE = {
    "weight_kg": 81.4,
    "body_fat_percent": 18.2,
    "fat_mass_kg": 14.8,
    "fat_free_mass_kg": 66.6,
    "muscle_mass_kg": 63.2,
    "bone_mass_kg": 3.4,
    "body_water_kg": 45.9,
    "subcutaneous_fat_percent": 16.1,
    "visceral_fat_rating": 7,
}
MORE = {"height_cm": 180, "basal_metabolic_rate_kcal": 1742, "metabolic_age_years": 38}


async def add(hass: HomeAssistant, at: datetime = MORNING, **values: object) -> dict[str, object]:
    """Add a weigh-in by the action. Returns its response."""
    response = await hass.services.async_call(
        "weighbridge",
        "add_weigh_in",
        {"measured_at": at.isoformat(), **(values or {**NINE, **MORE})},
        blocking=True,
        return_response=True,
    )
    assert isinstance(response, dict)
    return response


def state(hass: HomeAssistant, name: str, person: str = "runner") -> State:
    found = hass.states.get(f"sensor.{person}_{name}")
    assert found is not None, (name, hass.states.async_entity_ids())
    return found


async def refresh(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """As after half an hour."""
    for person in entry.runtime_data.people.values():
        await person.async_refresh()
    await hass.async_block_till_done(wait_background_tasks=True)


async def test_every_value(hass: HomeAssistant, loaded: MockConfigEntry, until: Until) -> None:
    """A weigh-in with all nine values shows all of them, and BMI, BMR, metabolic age and water %, with their units."""
    assert state(hass, "weight").state == "unknown"
    await add(hass)
    await until(lambda: state(hass, "weight").state == "81.4")
    expected = {
        "weight": (81.4, "kg"),
        "body_fat": (18.2, "%"),
        "fat_mass": (14.81, "kg"),
        "fat_free_mass": (66.59, "kg"),
        "muscle_mass": (63.2, "kg"),
        "bone_mass": (3.4, "kg"),
        "body_water_mass": (45.9, "kg"),
        "body_water": (56.39, "%"),
        "subcutaneous_fat": (16.1, "%"),
        "visceral_fat": (7, None),
        "body_mass_index": (25.1, "kg/m²"),
        "basal_metabolic_rate": (1742, "kcal/d"),
        "metabolic_age": (38, "y"),
    }
    shown = {name: state(hass, name) for name in expected}
    assert {
        name: (pytest.approx(float(s.state), abs=0.006), s.attributes.get("unit_of_measurement"))
        for name, s in shown.items()
    } == expected
    assert {s.attributes["state_class"] for s in shown.values()} == {"measurement"}
    classes = {name: s.attributes.get("device_class") for name, s in shown.items()}
    assert classes == {name: "weight" if unit == "kg" else None for name, (_, unit) in expected.items()}
    entries = {name: er.async_get(hass).async_get(s.entity_id) for name, s in shown.items()}
    digits = {name: entry.options["sensor"]["suggested_display_precision"] for name, entry in entries.items() if entry}
    whole = {"visceral_fat", "basal_metabolic_rate", "metabolic_age"}
    assert digits == {name: 0 if name in whole else 1 for name in expected}
    assert {s.attributes["measured_at"] for s in shown.values()} == {MORNING.isoformat()}
    assert state(hass, "last_weigh_in").state == MORNING.isoformat()
    await until(lambda: state(hass, "last_delivery").state == "confirmed")


@pytest.mark.fault(4)
async def test_late_reading_is_not_current(
    hass: HomeAssistant, loaded: MockConfigEntry, until: Until, function: RunningFunction
) -> None:
    """An older weigh-in that arrives late never becomes the current state."""
    await add(hass, weight_kg=81.4)
    await until(lambda: state(hass, "weight").state == "81.4")
    changes = []
    hass.bus.async_listen("state_changed", lambda event: changes.append(event.data["entity_id"]))
    await add(hass, MORNING - timedelta(days=2), weight_kg=84.0)
    assert len(function.weights()) == 2
    await refresh(hass, loaded)
    assert state(hass, "weight").state == "81.4"
    assert state(hass, "last_weigh_in").state == MORNING.isoformat()
    assert "sensor.runner_weight" not in changes


async def test_deleted_in_garmin(
    hass: HomeAssistant, loaded: MockConfigEntry, until: Until, function: RunningFunction
) -> None:
    """A weigh-in that was deleted in Garmin's own app is not shown any more; the one before it is."""
    await add(hass, MORNING - timedelta(days=1), weight_kg=82.0)
    await add(hass, weight_kg=20.4)
    await until(lambda: state(hass, "weight").state == "20.4")
    store = function.garmin.weights
    store.entries = [entry for entry in store.entries if entry.raw["weight"] != 2040]
    await refresh(hass, loaded)
    assert state(hass, "weight").state == "82.0"


async def test_restart(hass: HomeAssistant, loaded: MockConfigEntry, until: Until) -> None:
    """After a restart everything is as before, and so is what Garmin does not show."""
    await add(hass)
    await until(lambda: state(hass, "subcutaneous_fat").state == "16.1")
    before = {s.entity_id: s.state for s in hass.states.async_all("sensor")}
    await hass.async_block_till_done(wait_background_tasks=True)
    await until(lambda: loaded.runtime_data.people)
    assert await hass.config_entries.async_reload(loaded.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert {s.entity_id: s.state for s in hass.states.async_all("sensor")} == before


async def test_value_that_was_not_measured(hass: HomeAssistant, loaded: MockConfigEntry, until: Until) -> None:
    """A weight alone leaves the body fat of the day before, with its time. After a month it is unknown, never zero."""
    day_before = MORNING - timedelta(days=1)
    await add(hass, day_before, weight_kg=82.0, body_fat_percent=18.0)
    await add(hass, weight_kg=81.4)
    await until(lambda: state(hass, "weight").state == "81.4")
    fat = state(hass, "body_fat")
    assert (fat.state, fat.attributes["measured_at"]) == ("18.0", day_before.isoformat())
    assert state(hass, "bone_mass").state == "unknown"


async def test_old_value_is_unknown(hass: HomeAssistant, loaded: MockConfigEntry, until: Until) -> None:
    """A value last measured more than a month before the last weigh-in is unknown."""
    await add(hass, MORNING - timedelta(days=32), weight_kg=82.0, body_fat_percent=18.0)
    await add(hass, weight_kg=81.4)
    await until(lambda: state(hass, "weight").state == "81.4")
    assert state(hass, "body_fat").state == "unknown"


async def test_corrected_elsewhere(
    hass: HomeAssistant, loaded: MockConfigEntry, until: Until, function: RunningFunction
) -> None:
    """If a weigh-in is corrected elsewhere, what Garmin does not show of the wrong one goes with it."""
    await add(hass)
    await until(lambda: state(hass, "subcutaneous_fat").state == "16.1")
    answer = await loaded.runtime_data.function.post(
        {"weight_kg": 80.0, "measured_at": MORNING.isoformat()}, replace=True
    )
    assert answer.outcome == "confirmed", answer.body
    await refresh(hass, loaded)
    assert state(hass, "weight").state == "80.0"
    assert state(hass, "subcutaneous_fat").state == "unknown"


async def test_event(hass: HomeAssistant, loaded: MockConfigEntry, until: Until) -> None:
    """Each outcome is an event of its person, with what an automation needs and no value apart from the message."""
    response = await add(hass)
    await until(lambda: hass.states.get("event.runner_weigh_in").state != "unknown")
    event = hass.states.get("event.runner_weigh_in")
    assert event.attributes["event_type"] == "confirmed"
    assert event.attributes["message"].startswith("81.4 kg, 18.2 % fat: confirmed")
    assert event.attributes["item_id"] == response["item_id"]
    assert event.attributes["measured_at"] == MORNING.isoformat()


async def test_away(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    until: Until,
    function: RunningFunction,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """While the function is away the values are unavailable and a weigh-in waits. The log has one line for each."""
    await add(hass, MORNING - timedelta(days=1), weight_kg=82.0)
    await until(lambda: state(hass, "weight").state == "82.0")
    await hass.async_block_till_done(wait_background_tasks=True)
    caplog.clear()
    function.stop()
    await loaded.runtime_data.health.async_refresh()
    await refresh(hass, loaded)
    assert state(hass, "weight").state == "unavailable"
    response = await add(hass, weight_kg=81.4)
    assert (response["status"], response["problem"]) == ("waiting", "no-answer")
    assert state(hass, "last_delivery").state == "waiting"
    function.start()
    await loaded.runtime_data.health.async_refresh()
    await until(lambda: state(hass, "weight").state == "81.4")
    await until(lambda: state(hass, "last_delivery").state == "confirmed")
    lines = [r for r in caplog.records if r.name.startswith("custom_components.weighbridge") and r.levelname != "DEBUG"]
    assert len(lines) == 2, [r.getMessage() for r in lines]


@pytest.mark.parametrize("people", [("Anna", "Ben")])
@pytest.mark.fault(3)
async def test_people_are_apart(hass: HomeAssistant, loaded: MockConfigEntry, until: Until) -> None:
    """Each person is a device of their own, below that of the function, and sees only their weigh-ins."""
    await add(hass, person="Anna", weight_kg=61.0)
    await add(hass, person="Ben", weight_kg=81.4)
    await until(lambda: state(hass, "weight", "anna").state == "61.0")
    await until(lambda: state(hass, "weight", "ben").state == "81.4")
    assert hass.states.get("event.anna_weigh_in").attributes["message"].startswith("61 kg")


@pytest.mark.parametrize("people", [("Anna", "Ben")])
async def test_recognized_person(hass: HomeAssistant, loaded: MockConfigEntry, until: Until) -> None:
    """What comes from a scale of several is an event of whom it names; a question, of all whom it may be."""
    reading = {"weight": 81.4, "user": "Ben", "time": MORNING.isoformat()}
    await loaded.runtime_data.queue.add(reading, subentry_id=None, source="scale", received_at=MORNING)
    await until(lambda: state(hass, "last_delivery", "ben").state == "confirmed")
    assert state(hass, "weight", "ben").state == "81.4"
    assert state(hass, "last_delivery", "anna").state == "unknown"
    response = await add(hass, MORNING + timedelta(hours=1), weight_kg=71.0)
    for name in ("anna", "ben"):
        assert hass.states.get(f"event.{name}_weigh_in").attributes["event_type"] == "question"
        assert hass.states.get(f"event.{name}_weigh_in").attributes["item_id"] == response["item_id"]


async def test_rarely_used_are_disabled(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    """What few scales have is there, and disabled."""
    registry = er.async_get(hass)
    entities = er.async_entries_for_config_entry(registry, loaded.entry_id)
    disabled = {entity.entity_id for entity in entities if entity.disabled_by}
    assert disabled == {
        "sensor.runner_physique_rating",
        "sensor.runner_visceral_fat_mass",
        "sensor.runner_skeletal_muscle_mass",
        "sensor.runner_active_metabolic_rate",
    }
    assert registry.async_get("sensor.runner_last_delivery").entity_category == "diagnostic"
    assert MORNING.tzinfo is UTC
