"""Where readings come from: each weigh-in counts once, and nothing else is one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import issue_registry as ir
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    mock_restore_cache_with_extra_data,
)

from custom_components.weighbridge.const import (
    CONF_DEVICE,
    CONF_ENTITIES,
)
from custom_components.weighbridge.queue import State as ItemState
from custom_components.weighbridge.sources import entities as module

from .arrivals import choose, delivered, waiting
from .running import RunningFunction

Until = Callable[[Callable[[], object]], Awaitable[None]]
AT = datetime(2026, 11, 20, 7, 12, 33, tzinfo=UTC)
#: How long values settle in these tests: longer than a busy disk takes to store what arrived.
SETTLE_S = 1.0
TWO = pytest.mark.parametrize("people", [("Anna", "Ben")])
CONFIG = str(Path(__file__).with_name("config"))


@pytest.fixture
def hass_storage() -> None:
    """The store is a real one, on a disk: see `_folder`."""


@pytest.fixture(autouse=True)
def _folder(hass: HomeAssistant, tmp_path: Path) -> None:
    hass.config.config_dir = str(tmp_path)


@pytest.fixture(autouse=True)
def _bodymiscale(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Home Assistant find config/custom_components too."""
    monkeypatch.syspath_prepend(CONFIG)
    monkeypatch.setattr(module, "SETTLE_S", SETTLE_S)
    monkeypatch.setattr(module, "LONGEST_S", 6 * SETTLE_S)


# -- the entities of a device ----------------------------------------------------------------------------------

WHOLE: dict[str, Any] = {
    "weight": 81.4,
    "bmi": 25.1,
    "basal_metabolism": 1700,
    "visceral_fat": 7,
    "lean_body_mass": 62.1,
    "body_fat": 18.2,
    "protein": 17.0,
    "water": 56.1,
    "bone_mass": 3.2,
    "muscle_mass": 63.4,
    "metabolic_age": 35,
    "body_score": 81,
}


class Scale:
    """A bodymiscale of one person."""

    def __init__(self, hass: HomeAssistant, entry: MockConfigEntry, of: MockConfigEntry) -> None:
        self.hass, self.entry, self._of = hass, entry, of
        (self.device,) = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)

    async def weigh(self, at: datetime | None = None, **values: Any) -> None:
        from custom_components.bodymiscale import weigh_in

        weigh_in(self.hass, **values, **({"last_measurement_time": at} if at else {}))
        await self.hass.async_block_till_done()

    async def settled(self) -> None:
        """Wait until what was weighed has settled, and is too old for the next reading."""
        async with asyncio.timeout(30):
            while any(item.state is ItemState.SETTLING for item in waiting(self._of)):
                await asyncio.sleep(0.01)
        await asyncio.sleep(1.5 * SETTLE_S)
        await self.hass.async_block_till_done()


@pytest.fixture
def timed() -> bool:
    return True


@pytest.fixture
async def scale(hass: HomeAssistant, entry: MockConfigEntry, timed: bool) -> Scale:
    """A bodymiscale, chosen by the first person. Its last weigh-in is a month old."""
    own = MockConfigEntry(domain="bodymiscale", title="Anna", data={"timed": timed})
    own.add_to_hass(hass)
    assert await hass.config_entries.async_setup(own.entry_id)
    await hass.async_block_till_done()
    made = Scale(hass, own, entry)
    if timed:
        await made.weigh(AT - timedelta(days=30), weight=80)
    choose(hass, entry, {CONF_DEVICE: made.device.id})
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    await made.settled()
    return made


UNTIMED = pytest.mark.parametrize("timed", [False])


@pytest.mark.fault(1)
async def test_bodymiscale(entry: MockConfigEntry, scale: Scale, function: RunningFunction) -> None:
    """A weigh-in of bodymiscale arrives with all values and its own time, which is a `datetime` (it was dropped, and
    arrival counted)."""
    await scale.weigh(AT, **WHOLE)
    (item,) = waiting(entry)
    assert (item.state, item.source) == (ItemState.SETTLING, "Anna")
    await scale.settled()
    await delivered(entry, function, 1)
    (weight,) = function.weights()
    assert weight["timestampGMT"] == AT.timestamp() * 1000
    assert (weight["weight"], weight["bodyFat"], weight["boneMass"]) == (81_400, pytest.approx(18.2, abs=0.01), 3_200)


@pytest.mark.fault(2)
async def test_equal_on_another_day(entry: MockConfigEntry, scale: Scale, function: RunningFunction) -> None:
    """The same numbers on another day are another weigh-in (the second was dropped without a word)."""
    for day in range(2):
        await scale.weigh(AT + timedelta(days=day), **WHOLE)
        await scale.settled()
    await delivered(entry, function, 2)
    assert [weight["bodyFat"] for weight in function.weights()] == [pytest.approx(18.2, abs=0.01)] * 2


@pytest.mark.parametrize("timed", [True, False])
async def test_one_after_another(
    entry: MockConfigEntry,
    scale: Scale,
    function: RunningFunction,
    timed: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Values that come one after another are one reading, which is stored at the first of them."""
    # A sleep may take twice as long on a busy machine.
    settle_s = 4 * SETTLE_S
    monkeypatch.setattr(module, "SETTLE_S", settle_s)
    monkeypatch.setattr(module, "LONGEST_S", 6 * settle_s)
    if not timed:
        await scale.weigh(**{**WHOLE, "weight": 80, "body_fat": 20, "water": 50, "bone_mass": 3})
    await scale.weigh(AT if timed else None, weight=81.4)
    for name in ("body_fat", "water", "bone_mass"):
        assert [item.state for item in waiting(entry)] == [ItemState.SETTLING]
        await asyncio.sleep(0.4 * settle_s)
        await scale.weigh(**{name: WHOLE[name]})
    assert [item.state for item in waiting(entry)] == [ItemState.SETTLING]
    await delivered(entry, function, 1)
    (weight,) = function.weights()
    assert (weight["weight"], weight["boneMass"]) == (81_400, 3_200)


async def test_longest(entry: MockConfigEntry, scale: Scale, until: Until) -> None:
    """Values that keep changing do not hold a reading up."""
    await scale.weigh(AT, weight=81.4)
    fat = 18.0
    while any(item.state is ItemState.SETTLING for item in waiting(entry)):
        fat += 0.1
        await scale.weigh(body_fat=fat)
        await asyncio.sleep(SETTLE_S / 3)
        assert fat < 25
    await until(lambda: not waiting(entry))


async def test_kill_while_settling(
    hass: HomeAssistant, entry: MockConfigEntry, scale: Scale, function: RunningFunction
) -> None:
    """A reading that settles when Home Assistant ends is sent after its start."""
    await scale.weigh(AT, **WHOLE)
    assert await hass.config_entries.async_reload(entry.entry_id)
    await delivered(entry, function, 1)
    await scale.settled()
    assert waiting(entry) == ()


@pytest.mark.parametrize("timed", [True, False])
async def test_unavailable(
    hass: HomeAssistant, entry: MockConfigEntry, scale: Scale, function: RunningFunction, timed: bool
) -> None:
    """A device that returns from unavailable with what it had does not count; with something newer it does."""
    await scale.weigh(**{**WHOLE, "weight": 80})
    await scale.weigh(AT if timed else None, **WHOLE)
    await scale.settled()
    await delivered(entry, function, 1)
    states = [s for s in hass.states.async_all("sensor") if s.object_id.startswith("anna_")]
    for away in ("unavailable", "unknown"):
        for state in states:
            hass.states.async_set(state.entity_id, away, {"restored": True})
        await hass.async_block_till_done()
        for state in states:
            hass.states.async_set(state.entity_id, state.state, state.attributes)
        await hass.async_block_till_done()
        assert waiting(entry) == ()
    for state in states:
        hass.states.async_set(state.entity_id, "unavailable")
    await scale.weigh(AT + timedelta(hours=1) if timed else None, **{**WHOLE, "weight": 81.9})
    assert len(waiting(entry)) == 1


async def test_what_was_there(entry: MockConfigEntry, scale: Scale, function: RunningFunction) -> None:
    """What a device shows when it is chosen was there before, so it does not count."""
    # The month-old weigh-in of the fixture, and what is calculated again from it.
    await scale.weigh(body_score=82)
    await scale.settled()
    assert waiting(entry) == ()
    assert function.weights() == []


@pytest.mark.parametrize("timed", [True, False])
async def test_restored(
    hass: HomeAssistant, entry: MockConfigEntry, scale: Scale, function: RunningFunction, timed: bool
) -> None:
    """States that are restored at a start do not count."""
    await scale.weigh(AT if timed else None, **WHOLE)
    await scale.settled()
    await delivered(entry, function, int(timed))
    await hass.config_entries.async_unload(entry.entry_id)
    shown = [s for s in hass.states.async_all("sensor") if s.object_id.startswith("anna_")]
    await hass.config_entries.async_unload(scale.entry.entry_id)
    for state in shown:
        hass.states.async_remove(state.entity_id)
    values = {**WHOLE, "last_measurement_time": {"__type": "<class 'datetime.datetime'>", "isoformat": AT.isoformat()}}
    mock_restore_cache_with_extra_data(
        hass,
        [
            (state, {"native_value": values[state.object_id.removeprefix("anna_")], "native_unit_of_measurement": None})
            for state in shown
        ],
    )
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert await hass.config_entries.async_setup(scale.entry.entry_id)
    await hass.async_block_till_done()
    assert hass.states.get("sensor.anna_weight").state == "81.4"
    await scale.settled()
    assert waiting(entry) == ()
    assert len(function.weights()) == int(timed)


async def test_weighed_while_away(
    hass: HomeAssistant, entry: MockConfigEntry, scale: Scale, function: RunningFunction
) -> None:
    """A newer time after a start is a weigh-in that was made meanwhile."""
    await scale.weigh(AT, **WHOLE)
    await scale.settled()
    await delivered(entry, function, 1)
    await hass.config_entries.async_unload(entry.entry_id)
    await scale.weigh(AT + timedelta(hours=1), **WHOLE)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await scale.settled()
    await delivered(entry, function, 2)


async def test_older(entry: MockConfigEntry, scale: Scale, function: RunningFunction) -> None:
    """A time before the last one does not count: somebody deleted the last one in the app."""
    await scale.weigh(AT, **WHOLE)
    await scale.settled()
    await delivered(entry, function, 1)
    await scale.weigh(AT - timedelta(days=1), **WHOLE)
    await scale.settled()
    assert waiting(entry) == ()


async def test_in_shoes(entry: MockConfigEntry, scale: Scale) -> None:
    """Without an impedance, only the weight is new: the body fat of the last time stays out."""
    await scale.weigh(dt_util.utcnow(), **WHOLE)
    await scale.settled()
    await scale.weigh(dt_util.utcnow(), weight=81.6, bmi=25.2)
    reading = waiting(entry)[-1].reading
    assert reading["weight"] == "81.6 kg"
    assert "body_fat" not in reading


@UNTIMED
async def test_reports_only_changes(
    entry: MockConfigEntry, scale: Scale, function: RunningFunction, until: Until
) -> None:
    """If an integration reports only what changed, an equal bone mass still belongs to a new body fat."""
    await scale.weigh(**WHOLE)
    await scale.settled()
    await scale.weigh(weight=81.6, body_fat=18.3)
    await scale.settled()
    await until(lambda: not waiting(entry))
    last = max(function.weights(), key=lambda weight: weight["timestampGMT"])
    assert (last["weight"], last["boneMass"]) == (81_600, 3_200)


@TWO
async def test_shared_scale(
    hass: HomeAssistant, entry: MockConfigEntry, scale: Scale, function: RunningFunction, until: Until
) -> None:
    """A scale that two people have gives one reading, and the function decides or asks."""
    choose(hass, entry, {}, {CONF_DEVICE: scale.device.id})
    await hass.async_block_till_done()
    await scale.weigh(AT, **WHOLE)
    await scale.settled()
    await until(lambda: [item.state for item in waiting(entry)] == [ItemState.ASKING])


async def test_attributes(hass: HomeAssistant, entry: MockConfigEntry, function: RunningFunction) -> None:
    """An entity with the values as attributes is a source, with its `datetime`."""
    choose(hass, entry, {CONF_ENTITIES: ["bodymiscale.anna"]})
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    for at in (AT - timedelta(days=1), AT):
        hass.states.async_set("bodymiscale.anna", "ok", {**WHOLE, "last_measurement_time": at, "problem": "none"})
        await hass.async_block_till_done()
    await delivered(entry, function, 1)
    assert function.weights()[0]["timestampGMT"] == AT.timestamp() * 1000


async def test_single_sensors(hass: HomeAssistant, entry: MockConfigEntry, function: RunningFunction) -> None:
    """Sensors without a device are a source: their names differ in what they measure. Units come along."""
    names = {"weight": ("179.5", "lb"), "body_fat": ("18.2", "%"), "weight_non_stabilized": ("80", "lb")}
    ids = [f"sensor.bath_scale_{name}" for name in names]
    for entity_id in ids:
        hass.states.async_set(entity_id, "1", {"unit_of_measurement": "lb"})
    choose(hass, entry, {CONF_ENTITIES: ids})
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    for name, (value, unit) in names.items():
        hass.states.async_set(f"sensor.bath_scale_{name}", value, {"unit_of_measurement": unit})
    await hass.async_block_till_done()
    await delivered(entry, function, 1)
    assert function.weights()[0]["weight"] == pytest.approx(81_420, abs=5)


@UNTIMED
async def test_not_of_a_body(
    hass: HomeAssistant, entry: MockConfigEntry, scale: Scale, function: RunningFunction
) -> None:
    """The battery of a scale does not count. An entity that is added later counts, and so does an equal value that is
    forced."""
    registry = er.async_get(hass)
    for key, more in {"battery": {"original_device_class": "battery"}, "impedance": {}}.items():
        registry.async_get_or_create(
            "sensor", "test", key, device_id=scale.device.id, original_name=key, suggested_object_id=key, **more
        )
    await hass.async_block_till_done()
    for value in ("90", "89"):
        hass.states.async_set("sensor.battery", value, {"device_class": "battery", "unit_of_measurement": "%"})
    await scale.weigh(**WHOLE)
    await hass.async_block_till_done()
    assert waiting(entry) == ()
    hass.states.async_set("sensor.impedance", "500", {"unit_of_measurement": "Ω"})
    await hass.async_block_till_done()
    state = hass.states.get("sensor.anna_weight")
    hass.states.async_set(state.entity_id, state.state, state.attributes, force_update=True)
    await hass.async_block_till_done()
    (item,) = waiting(entry)
    assert item.reading["impedance"] == "500 Ω"
    assert "battery" not in item.reading
    await scale.settled()
    await delivered(entry, function, 1)


#: What other integrations make of one weigh-in: each entity with its name, its value and unit, and more of its registry
#: entry. From their code: AboveColin/HA-Fitdays, ra486/hacs-renpho-health, ronnnnnnnnnnnnn/renpho_fitness_scale_ble and
#: home-assistant/core (xiaomi_ble).
Made = tuple[str, str, str | None, dict[str, Any]]
WEIGHT: dict[str, Any] = {"original_device_class": "weight"}
DIAGNOSTIC: dict[str, Any] = {"entity_category": er.EntityCategory.DIAGNOSTIC}
OF_OTHERS: dict[str, tuple[list[Made], dict[str, float]]] = {
    "fitdays": (
        [
            ("weight", "81.4", "kg", {**WEIGHT, "translation_key": "weight"}),
            ("bmi", "25.1", None, {"translation_key": "bmi"}),
            ("body_fat", "18.2", "%", {"translation_key": "body_fat"}),
            ("body_fat_mass", "14.8", "kg", {**WEIGHT, "translation_key": "body_fat_mass"}),
            ("muscle", "77.6", "%", {"translation_key": "muscle"}),
            ("muscle_mass", "63.2", "kg", {**WEIGHT, "translation_key": "muscle_mass"}),
            ("skeletal_muscle", "47.3", "%", {"translation_key": "skeletal_muscle"}),
            ("body_water", "56.4", "%", {"translation_key": "body_water"}),
            ("bone_mass", "3.4", "kg", {**WEIGHT, "translation_key": "bone_mass"}),
            ("protein", "17.8", "%", {"translation_key": "protein"}),
            ("visceral_fat", "7", None, {"translation_key": "visceral_fat"}),
            ("bmr", "1750", "kcal", {"translation_key": "bmr"}),
            ("body_age", "35", "y", {"translation_key": "body_age"}),
            ("heart_rate", "62", "bpm", {"translation_key": "heart_rate"}),
            ("impedance", "480", "Ω", {**DIAGNOSTIC, "translation_key": "impedance"}),
            ("target_weight", "75.0", "kg", {**WEIGHT, "translation_key": "target_weight"}),
            ("weight_to_target", "6.4", "kg", {**WEIGHT, "translation_key": "weight_to_target"}),
            ("measurement_count", "57", None, {**DIAGNOSTIC, "translation_key": "measurement_count"}),
        ],
        {"bodyFat": 18.2, "muscleMass": 63_200, "boneMass": 3_400, "bodyWater": 56.4, "visceralFat": 7},
    ),
    "renpho_health": (
        [
            ("Renpho Weight", "81.4", "kg", WEIGHT),
            ("Renpho Weight (lbs)", "179.5", "lbs", {}),
            ("Renpho Body Fat", "18.2", "%", {}),
            ("Renpho BMI", "25.1", None, {}),
            ("Renpho Muscle Mass", "77.6", "%", {}),
            ("Renpho Body Water", "56.4", "%", {}),
            ("Renpho Bone Mass", "3.4", "kg", {}),
            ("Renpho BMR", "1750", "kcal", {}),
            ("Renpho Body Age", "35", "years", {}),
            ("Renpho Visceral Fat", "7", None, {}),
            ("Renpho Subcutaneous Fat", "16.1", "%", {}),
            ("Renpho Protein", "17.8", "%", {}),
            ("Renpho Fat Free Weight", "66.6", "kg", {}),
            ("Renpho Heart Rate", "62", "bpm", {}),
            ("Renpho Height", "180", "cm", {}),
            ("Renpho Weight Goal", "75", "kg", {}),
            ("Renpho Weight Goal (lbs)", "165.3", "lbs", {}),
            ("Renpho Body Fat Goal", "15", "%", {}),
            ("Renpho Token Source", "login", None, {}),
            ("Renpho Token Age", "3.5", "h", {}),
        ],
        {"bodyFat": 18.2, "muscleMass": 63_170, "boneMass": 3_400, "bodyWater": 56.4, "visceralFat": 7},
    ),
    "renpho_fitness_scale_ble": (
        [
            ("Anna's Weight", "81.4", "kg", WEIGHT),
            ("Anna's Body Mass Index", "25.1", None, {}),
            ("Anna's Body Fat Percentage", "18.2", "%", {}),
            ("Anna's Fat Free Mass", "66.6", "kg", WEIGHT),
            ("Anna's Body Water Percentage", "56.4", "%", {}),
            ("Anna's Basal Metabolic Rate", "1750", "kcal", {}),
            ("Anna's Skeletal Muscle Percentage", "47.3", "%", {}),
            ("Anna's Muscle Mass", "63.2", "kg", WEIGHT),
            ("Anna's Bone Mass", "3.4", "kg", WEIGHT),
            ("Anna's Protein Percentage", "17.8", "%", {}),
            ("User Directory", "1", None, DIAGNOSTIC),
            ("Pending Measurements", "0", None, DIAGNOSTIC),
        ],
        {"bodyFat": 18.2, "muscleMass": 63_200, "boneMass": 3_400, "bodyWater": 56.4},
    ),
    "xiaomi_ble": (
        [
            ("Mass", "81.4", "kg", WEIGHT),
            ("weight_non_stabilized", "80.2", "kg", WEIGHT | DIAGNOSTIC | {"translation_key": "weight_non_stabilized"}),
            ("Impedance", "428", "ohm", {"translation_key": "impedance"}),
        ],
        {},
    ),
}


@pytest.mark.parametrize("integration", OF_OTHERS)
async def test_devices_of_other_integrations(
    hass: HomeAssistant, entry: MockConfigEntry, function: RunningFunction, integration: str
) -> None:
    """Every value that another integration shows of a weigh-in arrives, whatever it puts before the names. A goal, a
    live weight and what is about the scale are left out."""
    made, expected = OF_OTHERS[integration]
    other = MockConfigEntry(domain="test", title=integration)
    other.add_to_hass(hass)
    device = dr.async_get(hass).async_get_or_create(config_entry_id=other.entry_id, identifiers={("test", integration)})
    shown: list[tuple[str, str, dict[str, Any]]] = []
    for name, value, unit, more in made:
        of = er.async_get(hass).async_get_or_create(
            "sensor", "test", name, device_id=device.id, original_name=name, config_entry=other, **more
        )
        attributes = {"unit_of_measurement": unit, "device_class": more.get("original_device_class")}
        shown.append((of.entity_id, value, {key: each for key, each in attributes.items() if each}))
    for entity_id, _, attributes in shown:
        hass.states.async_set(entity_id, "1", attributes)
    choose(hass, entry, {CONF_DEVICE: device.id})
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    for entity_id, value, attributes in shown:
        hass.states.async_set(entity_id, value, attributes)
    await hass.async_block_till_done()
    (item,) = waiting(entry)
    assert not any(word in " ".join(item.reading).lower() for word in ("goal", "target", "stabilized", "directory"))
    await delivered(entry, function, 1)
    (weight,) = function.weights()
    assert weight["weight"] == 81_400
    for name, value in expected.items():
        assert weight[name] == pytest.approx(value, rel=0.001), name


@pytest.mark.parametrize("chosen", [CONF_ENTITIES, CONF_DEVICE])
async def test_people_on_one_device_are_not_mixed(
    hass: HomeAssistant, entry: MockConfigEntry, function: RunningFunction, until: Until, chosen: str
) -> None:
    """Where one device has the entities of two people, the entities of one send that person's values alone. The device
    as a whole is rejected, where a person sees it."""
    other = MockConfigEntry(domain="test", title="scale")
    other.add_to_hass(hass)
    device = dr.async_get(hass).async_get_or_create(config_entry_id=other.entry_id, identifiers={("test", "scale")})
    units = {"Weight": "kg", "Body Fat Percentage": "%"}
    registry = er.async_get(hass)
    ids = {
        (person, name): registry.async_get_or_create(
            "sensor", "test", f"{person} {name}", device_id=device.id, original_name=f"{person}'s {name}"
        ).entity_id
        for person in ("Anna", "Ben")
        for name in units
    }

    def show(values: dict[tuple[str, str], str]) -> None:
        for (person, name), value in values.items():
            hass.states.async_set(ids[person, name], value, {"unit_of_measurement": units[name]})

    show(dict.fromkeys(ids, "60"))
    choose(hass, entry, {chosen: [ids["Anna", name] for name in units] if chosen == CONF_ENTITIES else device.id})
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    show({("Anna", "Weight"): "81.4", ("Anna", "Body Fat Percentage"): "18.2"})
    show({("Ben", "Weight"): "95.2", ("Ben", "Body Fat Percentage"): "24.5"})
    await hass.async_block_till_done()
    if chosen == CONF_ENTITIES:
        await delivered(entry, function, 1)
        (weight,) = function.weights()
        assert (weight["weight"], weight["bodyFat"]) == (81_400, pytest.approx(18.2, abs=0.01))
    else:
        await until(lambda: bool(ir.async_get(hass).issues))
        (issue,) = ir.async_get(hass).issues.values()
        assert issue.translation_key == "rejected"
        assert function.weights() == []
