"""Where readings come from: each weigh-in counts once, and nothing else is one."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import issue_registry as ir
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_mqtt_message,
    async_fire_time_changed,
    mock_restore_cache_with_extra_data,
)
from pytest_homeassistant_custom_component.typing import MqttMockHAClientGenerator

from custom_components.weighbridge.const import (
    CONF_DEVICE,
    CONF_ENTITIES,
    CONF_HEIGHT,
    CONF_TOPIC,
)
from custom_components.weighbridge.queue import Item
from custom_components.weighbridge.queue import State as ItemState

from .running import RunningFunction

Until = Callable[[Callable[[], object]], Awaitable[None]]
AT = datetime(2026, 11, 20, 7, 12, 33, tzinfo=UTC)
TWO = pytest.mark.parametrize("people", [("Anna", "Ben")])
CONFIG = str(Path(__file__).with_name("config"))


@pytest.fixture(autouse=True)
def _bodymiscale(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Home Assistant find config/custom_components too."""
    monkeypatch.syspath_prepend(CONFIG)


def choose(hass: HomeAssistant, entry: MockConfigEntry, *data: dict[str, Any]) -> None:
    """Set the sources of the people, in their order."""
    for subentry, more in zip(tuple(entry.subentries.values()), data, strict=False):
        hass.config_entries.async_update_subentry(entry, subentry, data={**subentry.data, **more})


def waiting(entry: MockConfigEntry) -> tuple[Item, ...]:
    return entry.runtime_data.queue.waiting  # type: ignore[no-any-return]


async def delivered(
    entry: MockConfigEntry, function: RunningFunction, until: Until, count: int, person: str = ""
) -> None:
    """Wait until so many weigh-ins are in Garmin and nothing waits."""
    await until(lambda: len(function.weights(person)) >= count and not waiting(entry))
    assert len(function.weights(person)) == count


# -- MQTT -----------------------------------------------------------------------------------------------------


@pytest.fixture
async def broker(hass: HomeAssistant, mqtt_mock_entry: MqttMockHAClientGenerator) -> None:
    await mqtt_mock_entry()


@pytest.fixture
async def topic(hass: HomeAssistant, entry: MockConfigEntry, broker: None) -> str:
    """The topic of the only person."""
    choose(hass, entry, {CONF_TOPIC: "scale/data"})
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    return "scale/data"


def publish(hass: HomeAssistant, topic: str, payload: object, *, retain: bool = False) -> None:
    text = payload if isinstance(payload, str) else json.dumps(payload)
    async_fire_mqtt_message(hass, topic, text, retain=retain)


TIMED = {"weight": 81.4, "timestamp": AT.isoformat()}


async def test_mqtt(
    hass: HomeAssistant, entry: MockConfigEntry, topic: str, function: RunningFunction, until: Until
) -> None:
    """A message is a weigh-in, with the height of its person."""
    choose(hass, entry, {CONF_HEIGHT: 180})
    await hass.async_block_till_done()
    publish(hass, topic, TIMED)
    await delivered(entry, function, until, 1)
    assert function.weights()[0]["bmi"] == pytest.approx(25.1, abs=0.05)


@pytest.mark.parametrize("payload", ["online", "81.4", "", "[]", "[1]", "null", "{", '["a"]'])
async def test_mqtt_other_messages(hass: HomeAssistant, entry: MockConfigEntry, topic: str, payload: str) -> None:
    """What is no JSON object is no reading."""
    publish(hass, topic, payload)
    publish(hass, topic, payload)
    await hass.async_block_till_done()
    assert waiting(entry) == ()


async def test_mqtt_list(
    hass: HomeAssistant, entry: MockConfigEntry, topic: str, function: RunningFunction, until: Until
) -> None:
    """A list of objects is as many readings."""
    publish(hass, topic, [TIMED, {"weight": 81.6, "timestamp": (AT + timedelta(days=1)).isoformat()}])
    await delivered(entry, function, until, 2)


async def test_retained(
    hass: HomeAssistant, entry: MockConfigEntry, topic: str, function: RunningFunction, until: Until
) -> None:
    """A retained message with a time counts once, also after a restart and after it was deleted in Garmin."""
    publish(hass, topic, TIMED, retain=True)
    await delivered(entry, function, until, 1)
    function.garmin.weights.entries.clear()
    publish(hass, topic, TIMED, retain=True)
    assert await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    publish(hass, topic, TIMED, retain=True)
    await hass.async_block_till_done()
    assert waiting(entry) == ()
    assert function.weights() == []


async def test_retained_without_a_time(
    hass: HomeAssistant, entry: MockConfigEntry, topic: str, function: RunningFunction, until: Until
) -> None:
    """Retained messages without a time are reported once for each message, and not again after a restart, also if the
    message came live before (two undated topics were reported after each restart)."""
    choose(hass, entry, {CONF_TOPIC: "scale/#"})
    await hass.async_block_till_done()

    def issues() -> list[str]:
        return [key for _, key in ir.async_get(hass).issues if ".unknown_time." in key]

    publish(hass, "scale/live", {"weight": 81.4})
    await delivered(entry, function, until, 1)
    publish(hass, "scale/live", {"weight": 81.4}, retain=True)
    publish(hass, "scale/one", {"weight": 81.4}, retain=True)
    publish(hass, "scale/two", {"weight": 81.4}, retain=True)
    await until(lambda: len(issues()) == 2 and not waiting(entry))
    for _ in range(2):
        assert await hass.config_entries.async_reload(entry.entry_id)
        await hass.async_block_till_done()
        for name in ("live", "one", "two"):
            publish(hass, f"scale/{name}", {"weight": 81.4}, retain=True)
        await hass.async_block_till_done()
    assert waiting(entry) == ()
    assert len(issues()) == 2
    publish(hass, "scale/one", {"weight": 82}, retain=True)
    await until(lambda: len(issues()) == 3)
    assert len(function.weights()) == 1


async def test_live_again(
    hass: HomeAssistant, entry: MockConfigEntry, topic: str, function: RunningFunction, until: Until
) -> None:
    """Equal live messages within a minute are one weigh-in; a day later, it is another one."""
    for _ in range(3):
        publish(hass, topic, {"weight": 81.4})
    await delivered(entry, function, until, 1)
    publish(hass, topic, {"weight": 81.4, "timestamp": (AT - timedelta(days=1)).isoformat()})
    await delivered(entry, function, until, 2)


async def test_without_mqtt(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Without the MQTT integration, the entry is set up all the same."""
    choose(hass, entry, {CONF_TOPIC: "scale/data"})
    assert await hass.config_entries.async_setup(entry.entry_id)


async def test_mqtt_set_up_later(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    function: RunningFunction,
    until: Until,
    mqtt_mock_entry: MqttMockHAClientGenerator,
) -> None:
    """Once MQTT is set up, its messages count. After a reload of MQTT, each counts once."""
    choose(hass, entry, {CONF_TOPIC: "scale/data"})
    assert await hass.config_entries.async_setup(entry.entry_id)
    await mqtt_mock_entry()
    await hass.async_block_till_done()
    publish(hass, "scale/data", TIMED)
    await delivered(entry, function, until, 1)
    mqtt_entry = hass.config_entries.async_entries("mqtt")[0]
    assert await hass.config_entries.async_reload(mqtt_entry.entry_id)
    await hass.async_block_till_done()
    outcomes: list[object] = []
    from homeassistant.helpers.dispatcher import async_dispatcher_connect

    async_dispatcher_connect(hass, f"weighbridge_outcome_{entry.entry_id}", outcomes.append)
    publish(hass, "scale/data", {"weight": 81.6, "timestamp": (AT + timedelta(days=1)).isoformat()})
    await delivered(entry, function, until, 2)
    assert len(outcomes) == 1


@TWO
async def test_person_in_the_topic(
    hass: HomeAssistant, entry: MockConfigEntry, broker: None, function: RunningFunction, until: Until
) -> None:
    """A topic of one person, and the word in a wildcard's place, say whose a reading is (all were mixed)."""
    choose(hass, entry, {CONF_TOPIC: "scale/+"}, {CONF_TOPIC: "of/ben"})
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    publish(hass, "scale/anna", TIMED)
    publish(hass, "of/ben", {**TIMED, "weight": 70})
    await delivered(entry, function, until, 1, "Anna")
    await delivered(entry, function, until, 1, "Ben")
    publish(hass, "scale/ben", {"weight": 71, "timestamp": (AT + timedelta(days=1)).isoformat()})
    await delivered(entry, function, until, 2, "Ben")
    publish(hass, "scale/kitchen", {**TIMED, "weight": 75})
    await until(lambda: [item.state for item in waiting(entry)] == [ItemState.ASKING])


@TWO
async def test_shared_topic(
    hass: HomeAssistant, entry: MockConfigEntry, broker: None, function: RunningFunction, until: Until
) -> None:
    """A topic that two people have does not say whose a reading is: it is taken once, and asked or read from it."""
    choose(hass, entry, {CONF_TOPIC: "scale/data"}, {CONF_TOPIC: "scale/data"})
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    publish(hass, "scale/data", {**TIMED, "user": "Ben"})
    await delivered(entry, function, until, 1, "Ben")
    publish(hass, "scale/data", TIMED)
    await until(lambda: [item.state for item in waiting(entry)] == [ItemState.ASKING])
    assert function.weights("Anna") == []


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
    """A bodymiscale of one person, and the clock."""

    def __init__(self, hass: HomeAssistant, entry: MockConfigEntry, freezer: FrozenDateTimeFactory) -> None:
        self.hass, self.entry, self._freezer = hass, entry, freezer
        (self.device,) = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)

    async def weigh(self, at: datetime | None = None, **values: Any) -> None:
        from custom_components.bodymiscale import weigh_in

        weigh_in(self.hass, **values, **({"last_measurement_time": at} if at else {}))
        await self.hass.async_block_till_done()

    async def later(self, seconds: float) -> None:
        self._freezer.tick(seconds)
        async_fire_time_changed(self.hass)
        await self.hass.async_block_till_done()


@pytest.fixture
def timed() -> bool:
    return True


@pytest.fixture
async def scale(hass: HomeAssistant, entry: MockConfigEntry, freezer: FrozenDateTimeFactory, timed: bool) -> Scale:
    """A bodymiscale, chosen by the first person. It has had no weigh-in."""
    freezer.move_to(AT + timedelta(minutes=1))
    own = MockConfigEntry(domain="bodymiscale", title="Anna", data={"timed": timed})
    own.add_to_hass(hass)
    assert await hass.config_entries.async_setup(own.entry_id)
    await hass.async_block_till_done()
    made = Scale(hass, own, freezer)
    choose(hass, entry, {CONF_DEVICE: made.device.id})
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    return made


UNTIMED = pytest.mark.parametrize("timed", [False])


async def test_bodymiscale(entry: MockConfigEntry, scale: Scale, function: RunningFunction, until: Until) -> None:
    """A weigh-in of bodymiscale arrives with all values and its own time, which is a `datetime` (it was dropped, and
    arrival counted)."""
    await scale.weigh(AT, **WHOLE)
    (item,) = waiting(entry)
    assert (item.state, item.source) == (ItemState.SETTLING, "Anna")
    await scale.later(10)
    await delivered(entry, function, until, 1)
    (weight,) = function.weights()
    assert weight["timestampGMT"] == AT.timestamp() * 1000
    assert (weight["weight"], weight["bodyFat"], weight["boneMass"]) == (81_400, pytest.approx(18.2, abs=0.01), 3_200)


async def test_equal_on_another_day(
    entry: MockConfigEntry, scale: Scale, function: RunningFunction, until: Until
) -> None:
    """The same numbers on another day are another weigh-in (the second was dropped without a word)."""
    for day in range(2):
        await scale.weigh(AT + timedelta(days=day), **WHOLE)
        await scale.later(86_400)
    await delivered(entry, function, until, 2)
    assert [weight["bodyFat"] for weight in function.weights()] == [pytest.approx(18.2, abs=0.01)] * 2


@pytest.mark.parametrize("timed", [True, False])
async def test_one_after_another(
    entry: MockConfigEntry, scale: Scale, function: RunningFunction, until: Until, timed: bool
) -> None:
    """Values that come one after another are one reading, which is stored at the first of them."""
    at = AT if timed else None
    await scale.weigh(at, weight=70)
    await scale.later(3600)
    await until(lambda: not waiting(entry))
    before = len(function.weights())
    await scale.weigh(AT + timedelta(hours=1) if timed else None, weight=81.4)
    for name in ("body_fat", "water", "bone_mass"):
        assert [item.state for item in waiting(entry)] == [ItemState.SETTLING]
        await scale.later(9)
        await scale.weigh(**{name: WHOLE[name]})
    await scale.later(9)
    assert [item.state for item in waiting(entry)] == [ItemState.SETTLING]
    await scale.later(2)
    await delivered(entry, function, until, before + 1)
    last = max(function.weights(), key=lambda weight: weight["timestampGMT"])
    assert (last["weight"], last["boneMass"]) == (81_400, 3_200)


async def test_longest(entry: MockConfigEntry, scale: Scale, function: RunningFunction, until: Until) -> None:
    """Values that keep changing hold a reading up for a minute at most."""
    await scale.weigh(AT, weight=81.4)
    for n in range(7):
        assert [item.state for item in waiting(entry)] == [ItemState.SETTLING]
        await scale.later(9)
        await scale.weigh(body_fat=18 + n / 10)
    await delivered(entry, function, until, 1)


async def test_kill_while_settling(
    hass: HomeAssistant, entry: MockConfigEntry, scale: Scale, function: RunningFunction, until: Until
) -> None:
    """A reading that settles when Home Assistant ends is sent after its start."""
    await scale.weigh(AT, **WHOLE)
    assert await hass.config_entries.async_reload(entry.entry_id)
    await delivered(entry, function, until, 1)
    await scale.later(60)
    assert waiting(entry) == ()


@pytest.mark.parametrize("timed", [True, False])
async def test_unavailable(
    hass: HomeAssistant, entry: MockConfigEntry, scale: Scale, function: RunningFunction, until: Until, timed: bool
) -> None:
    """A device that returns from unavailable with what it had is no weigh-in; with something newer it is one."""
    await scale.weigh(AT if timed else None, **{**WHOLE, "weight": 80})
    await scale.weigh(None, weight=81.4)
    await scale.later(60)
    await until(lambda: not waiting(entry))
    before = len(function.weights())
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
    await scale.weigh(AT + timedelta(hours=1) if timed else None, **WHOLE | {"weight": 81.9})
    await scale.later(60)
    await delivered(entry, function, until, before + 1)


async def test_chosen_later(
    hass: HomeAssistant, entry: MockConfigEntry, scale: Scale, function: RunningFunction
) -> None:
    """What a device shows when it is chosen was there before: it is no weigh-in."""
    choose(hass, entry, {CONF_DEVICE: ""})
    await hass.async_block_till_done()
    await scale.weigh(AT, **WHOLE)
    choose(hass, entry, {CONF_DEVICE: scale.device.id})
    await hass.async_block_till_done()
    await scale.weigh(body_score=82)
    await scale.later(60)
    assert waiting(entry) == ()
    assert function.weights() == []


@pytest.mark.parametrize("timed", [True, False])
async def test_restored(
    hass: HomeAssistant, entry: MockConfigEntry, scale: Scale, function: RunningFunction, until: Until, timed: bool
) -> None:
    """States that are restored at a start are no weigh-in."""
    await scale.weigh(AT if timed else None, **WHOLE)
    await scale.later(60)
    await until(lambda: not waiting(entry))
    before = len(function.weights())
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
    await scale.later(60)
    assert waiting(entry) == ()
    assert len(function.weights()) == before


async def test_weighed_while_away(
    hass: HomeAssistant, entry: MockConfigEntry, scale: Scale, function: RunningFunction, until: Until
) -> None:
    """A newer time after a start is a weigh-in that was made meanwhile."""
    await scale.weigh(AT, **WHOLE)
    await scale.later(60)
    await delivered(entry, function, until, 1)
    await hass.config_entries.async_unload(entry.entry_id)
    await scale.weigh(AT + timedelta(hours=1), **WHOLE)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await scale.weigh(body_score=80)
    await scale.later(60)
    await delivered(entry, function, until, 2)


async def test_older(entry: MockConfigEntry, scale: Scale, function: RunningFunction, until: Until) -> None:
    """A time before the last one is no new weigh-in: somebody deleted the last one in the app."""
    await scale.weigh(AT, **WHOLE)
    await scale.later(60)
    await delivered(entry, function, until, 1)
    await scale.weigh(AT - timedelta(days=1), **WHOLE)
    await scale.later(60)
    assert waiting(entry) == ()


async def test_in_shoes(entry: MockConfigEntry, scale: Scale, function: RunningFunction, until: Until) -> None:
    """Without an impedance, only the weight is new: the body fat of yesterday stays out."""
    await scale.weigh(AT, **WHOLE)
    await scale.later(3600)
    await scale.weigh(AT + timedelta(hours=1), weight=81.6, bmi=25.2)
    await scale.later(60)
    await delivered(entry, function, until, 2)
    last = max(function.weights(), key=lambda weight: weight["timestampGMT"])
    assert (last["weight"], last["bodyFat"]) == (81_600, None)


@UNTIMED
async def test_reports_only_changes(
    entry: MockConfigEntry, scale: Scale, function: RunningFunction, until: Until
) -> None:
    """If an integration reports only what changed, an equal bone mass still belongs to a new body fat."""
    await scale.weigh(**WHOLE)
    await scale.later(3600)
    await scale.weigh(weight=81.6, body_fat=18.3)
    await scale.later(60)
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
    await scale.later(60)
    await until(lambda: [item.state for item in waiting(entry)] == [ItemState.ASKING])


async def test_attributes(
    hass: HomeAssistant, entry: MockConfigEntry, function: RunningFunction, until: Until, freezer: FrozenDateTimeFactory
) -> None:
    """An entity with the values as attributes is a source, with its `datetime`."""
    freezer.move_to(AT + timedelta(minutes=1))
    choose(hass, entry, {CONF_ENTITIES: ["bodymiscale.anna"]})
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    hass.states.async_set("bodymiscale.anna", "ok", {**WHOLE, "last_measurement_time": AT, "problem": "none"})
    await hass.async_block_till_done()
    freezer.tick(60)
    async_fire_time_changed(hass)
    await delivered(entry, function, until, 1)
    assert function.weights()[0]["timestampGMT"] == AT.timestamp() * 1000


async def test_single_sensors(
    hass: HomeAssistant, entry: MockConfigEntry, function: RunningFunction, until: Until, freezer: FrozenDateTimeFactory
) -> None:
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
    freezer.tick(60)
    async_fire_time_changed(hass)
    await delivered(entry, function, until, 1)
    assert function.weights()[0]["weight"] == pytest.approx(81_420, abs=5)


@UNTIMED
async def test_not_of_a_body(
    hass: HomeAssistant, entry: MockConfigEntry, scale: Scale, function: RunningFunction, until: Until
) -> None:
    """The battery of a scale is no weigh-in. An entity that is added later counts. An equal value that is forced too."""
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
    await scale.later(60)
    await delivered(entry, function, until, 1)
