"""The actions and their responses, the trigger and the condition."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.service import async_get_all_descriptions
from homeassistant.helpers.translation import async_get_translations
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.weighbridge import actions
from custom_components.weighbridge.const import CONF_HEIGHT

from .arrivals import choose
from .running import RunningFunction
from .test_sensor import MORNING, NINE, add, state

Until = Callable[[Callable[[], object]], Awaitable[None]]


async def act(hass: HomeAssistant, action: str, **data: object) -> Any:
    return await hass.services.async_call("weighbridge", action, data, blocking=True, return_response=True)


async def test_receipt(hass: HomeAssistant, loaded: MockConfigEntry, function: RunningFunction) -> None:
    """The response of a weigh-in is its receipt, with every value, and what Garmin holds."""
    receipt = await add(hass)
    assert (receipt["status"], receipt["final"]) == ("confirmed", True)
    assert {field["name"] for field in receipt["fields"]} >= set(NINE)
    assert receipt["garmin"]["weight_kg"] == 81.4
    [weigh_in] = function.weights()
    assert weigh_in["weight"] == 81400
    assert loaded.runtime_data.queue.waiting == ()


async def test_texts_with_units(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    """A value may be a text with its unit; a time without an offset is in Home Assistant's zone."""
    receipt = await act(
        hass, "add_weigh_in", weight_kg="179.5 lb", body_fat_percent="18,2 %", measured_at="2026-11-23 07:31:00"
    )
    values = {field["name"]: field["value"] for field in receipt["fields"]}
    assert values["weight_kg"] == pytest.approx(81.42, abs=0.01)
    assert values["body_fat_percent"] == 18.2
    assert receipt["measured_at"] == "2026-11-23T15:31:00Z"  # the harness is in US/Pacific


@pytest.mark.fault(6)
async def test_rejected_value(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    """A value that is wrong is named with what was received and why; nothing waits."""
    with pytest.raises(ServiceValidationError) as raised:
        await act(hass, "add_weigh_in", weight_kg=814)
    assert raised.value.translation_key == "value_rejected"
    assert raised.value.translation_placeholders == {
        "field": "weight_kg",
        "input": "814.0",
        "reason": "The weight must be 2 to 400 kg.",
    }
    assert str(raised.value) == "weight_kg: received 814.0. The weight must be 2 to 400 kg."
    assert loaded.runtime_data.queue.waiting == ()


async def test_conflict_and_replacement(
    hass: HomeAssistant, loaded: MockConfigEntry, function: RunningFunction, until: Until
) -> None:
    """Other values at the same time are a conflict. With `replace`, they take the place of the old ones."""
    await add(hass, weight_kg=82.0)
    with pytest.raises(ServiceValidationError, match="replace=true"):
        await add(hass, weight_kg=81.4)
    receipt = await add(hass, weight_kg=81.4, replace=True)
    assert receipt["status"] == "confirmed"
    assert [weigh_in["weight"] for weigh_in in function.weights()] == [81400]
    await until(lambda: state(hass, "weight").state == "81.4")


async def test_replacement_waits(
    hass: HomeAssistant, loaded: MockConfigEntry, function: RunningFunction, until: Until
) -> None:
    """A replacement waits on the disk like every weigh-in while the function is away, and still replaces after a
    restart of Home Assistant."""
    await add(hass, weight_kg=82.0)
    function.stop()
    response = await add(hass, weight_kg=81.4, replace=True)
    assert (response["status"], response["problem"]) == ("waiting", "no-answer")
    await hass.config_entries.async_unload(loaded.entry_id)
    function.start()
    assert await hass.config_entries.async_setup(loaded.entry_id)
    await until(lambda: not loaded.runtime_data.queue.waiting)
    assert [weigh_in["weight"] for weigh_in in function.weights()] == [81400]


async def test_list_and_delete(
    hass: HomeAssistant, loaded: MockConfigEntry, function: RunningFunction, until: Until
) -> None:
    """What Garmin holds is listed, and can be deleted by its id. The sensors follow."""
    await add(hass, MORNING - timedelta(days=1), weight_kg=82.0)
    await add(hass)
    response = await act(hass, "get_weigh_ins")
    assert response["source"] == "garmin"
    assert [each["weight_kg"] for each in response["weigh_ins"]] == [82.0, 81.4]
    assert await act(hass, "delete_weigh_in", id=response["weigh_ins"][1]["id"])
    assert len(function.weights()) == 1
    await until(lambda: state(hass, "weight").state == "82.0")
    day = (MORNING - timedelta(days=60)).date().isoformat()
    assert (await act(hass, "get_weigh_ins", start_date=day, end_date=day))["weigh_ins"] == []
    with pytest.raises(ServiceValidationError, match="no such weigh-in"):
        await act(hass, "delete_weigh_in", id="2026-01-01.5")
    with pytest.raises(ServiceValidationError, match="An id is a day"):
        await act(hass, "delete_weigh_in", id="yesterday")


async def test_import_has_the_height(hass: HomeAssistant, entry: MockConfigEntry, function: RunningFunction) -> None:
    """The height of a person counts for the rows of a history too, unless a row has one."""
    choose(hass, entry, {CONF_HEIGHT: 180})
    assert await hass.config_entries.async_setup(entry.entry_id)
    rows = [
        {"time": "2026-11-20T07:00:00Z", "weight": 81.4},
        {"time": "2026-11-21T07:00:00Z", "weight": 81.4, "height": "200 cm"},
    ]
    assert (await act(hass, "import_history", rows=rows))["outcomes"] == {"confirmed": 2}
    assert {round(float(str(weight["bmi"])), 1) for weight in function.weights()} == {25.1, 20.4}


async def test_import(hass: HomeAssistant, loaded: MockConfigEntry, function: RunningFunction, tmp_path: Path) -> None:
    """Rows of a CSV text, a list or a file go to the function with their own headers. Wrong rows are named; the same
    import again sends nothing."""
    csv = "Date;Weight (kg);Body fat\n2026-11-20 07:00;81,4;18,2 %\n2026-11-21 07:00;heavy;\n2026-11-22 07:00;81,2;\n"
    response = await act(hass, "import_history", csv=csv)
    assert (response["rows"], response["outcomes"]) == (3, {"confirmed": 2, "rejected": 1})
    [rejected] = response["rejected"]
    assert rejected["row"] == 2
    assert "heavy" in rejected["reason"]
    rows = [{"time": "2026-11-20T07:00:00", "weight": 81.4, "body fat": 18.2}]
    file = tmp_path / "rows.json"
    file.write_text(json.dumps(rows))
    with pytest.raises(ServiceValidationError, match="allowlist_external_dirs"):
        await act(hass, "import_history", file=str(file))
    hass.config.allowlist_external_dirs = {str(tmp_path)}
    assert (await act(hass, "import_history", file=str(file)))["outcomes"] == {"present": 1}
    assert (await act(hass, "import_history", rows=rows))["outcomes"] == {"present": 1}
    assert len(function.weights()) == 2


@pytest.mark.parametrize(
    ("csv", "key"),
    [
        ("weight\n", "no_rows"),
        ("weight,weight\n81,82\n", "csv_headers_twice"),
        ("weight,time\n81,2026-11-20,7\n", "csv_cells"),
        ('weight,time\n"81,2026-11-20\n', "csv_damaged"),
    ],
)
async def test_csv_that_cannot_be_read(hass: HomeAssistant, loaded: MockConfigEntry, csv: str, key: str) -> None:
    """A CSV that could be read wrongly is refused, with the reason."""
    with pytest.raises(ServiceValidationError) as raised:
        await act(hass, "import_history", csv=csv)
    assert raised.value.translation_key == key


async def test_import_while_away(hass: HomeAssistant, loaded: MockConfigEntry, function: RunningFunction) -> None:
    """An import that cannot go on says how far it came, and that it may be run again."""
    function.stop()
    with pytest.raises(HomeAssistantError, match="stopped after 0 of 1 rows"):
        await act(hass, "import_history", rows=[{"weight": 81}])


@pytest.mark.parametrize("people", [("Anna", "Ben")])
async def test_whose(hass: HomeAssistant, loaded: MockConfigEntry, function: RunningFunction, until: Until) -> None:
    """A person is meant by the device or the name. Without one, a doubtful weigh-in asks, and the action answers."""
    [anna] = [p for p in loaded.runtime_data.people.values() if p.name_in_function == "Anna"]
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), loaded.entry_id)
    [device] = [each for each in devices if ("weighbridge", anna.subentry_id) in each.identifiers]
    await add(hass, person=device.id, weight_kg=61.0)
    await add(hass, person="ben", weight_kg=61.2)
    with pytest.raises(ServiceValidationError, match="got Carl"):
        await add(hass, person="Carl", weight_kg=61.0)
    with pytest.raises(ServiceValidationError, match="several people"):
        await act(hass, "get_weigh_ins")
    response = await add(hass, MORNING + timedelta(hours=1), weight_kg=61.1)
    assert (response["status"], response["candidates"]) == ("question", ["Anna", "Ben"])
    with pytest.raises(ServiceValidationError, match="got Carl"):
        await act(hass, "answer", item_id=response["item_id"], person="Carl")
    await act(hass, "answer", item_id=response["item_id"], person=device.id)
    await until(lambda: len(function.weights("Anna")) == 2)
    with pytest.raises(ServiceValidationError, match="asks whose it is"):
        await act(hass, "answer", item_id=response["item_id"], person="Anna")


async def test_trigger_and_condition(hass: HomeAssistant, loaded: MockConfigEntry, until: Until) -> None:
    """An automation runs with the outcome of a weigh-in; whether somebody has weighed in lately is a condition."""
    ran: list[dict[str, Any]] = []
    hass.services.async_register("test", "ran", lambda call: ran.append(dict(call.data)))
    automation = {
        "triggers": {
            "trigger": "weighbridge.weigh_in_sent",
            "options": {"person": ["Runner"], "outcome": ["confirmed", "rejected"]},
        },
        "actions": {
            "if": {
                "condition": "weighbridge.has_weighed_in",
                "options": {"person": "Runner", "within": {"hours": 12}},
            },
            "then": {
                "action": "test.ran",
                "data": {"text": "{{ trigger.message }} {{ states('sensor.runner_weight') }}"},
            },
            "else": {"action": "test.ran", "data": {"text": "{{ trigger.outcome }} {{ trigger.problem }}"}},
        },
    }
    assert await async_setup_component(hass, "automation", {"automation": [automation]})
    await hass.async_block_till_done()
    with pytest.raises(ServiceValidationError):
        await add(hass, weight_kg=814)
    await until(lambda: len(ran) == 1)
    await add(hass, weight_kg=81.4)
    await until(lambda: len(ran) == 2)
    await add(hass, weight_kg=81.4)  # present: not chosen
    await hass.async_block_till_done(wait_background_tasks=True)
    assert [each["text"] for each in ran] == [
        "rejected reading-rejected",
        "81.4 kg: confirmed in Garmin Connect. 81.4",
    ]


@pytest.mark.parametrize("language", ["en", "de", "pt"])
async def test_descriptions(hass: HomeAssistant, loaded: MockConfigEntry, language: str) -> None:
    """Each action, trigger and condition is described field by field, in each language."""
    texts = {
        kind: await async_get_translations(hass, language, kind, ["weighbridge"])
        for kind in ("services", "triggers", "conditions")
    }
    fields = dict(_schemas(hass))
    described = await async_get_all_descriptions(hass)
    for name, schema in fields.items():
        shown = described["weighbridge"][name]["fields"]
        flat = {key for key, field in shown.items() if "fields" not in field}
        flat |= {key for field in shown.values() for key in field.get("fields", ())}
        assert flat == schema
        for key in schema:
            for what in ("name", "description"):
                assert texts["services"][f"component.weighbridge.services.{name}.fields.{key}.{what}"]
    for kind, name, keys in (
        ("triggers", "weigh_in_sent", ("person", "outcome")),
        ("conditions", "has_weighed_in", ("person", "within")),
    ):
        for key in keys:
            assert texts[kind][f"component.weighbridge.{kind}.{name}.fields.{key}.description"]


def _schemas(hass: HomeAssistant) -> Iterator[tuple[str, set[str]]]:
    for name, service in hass.services.async_services_for_domain("weighbridge").items():
        schema = service.schema.schema
        fields = schema if isinstance(schema, dict) else schema.validators[0]
        yield name, {str(key) for key in fields}


async def test_every_error_has_its_words(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    """Each error of an action has a sentence in each language, with the same parts."""
    keys = set(re.findall(r'_invalid\(\s*"(\w+)"|translation_key="(\w+)"', inspect.getsource(actions)))
    keys = {a or b for a, b in keys}
    assert len(keys) >= 15
    parts: dict[str, set[frozenset[str]]] = {key: set() for key in keys}
    for language in ("en", "de", "pt"):
        texts = await async_get_translations(hass, language, "exceptions", ["weighbridge"])
        for key in keys:
            text = texts[f"component.weighbridge.exceptions.{key}.message"]
            parts[key].add(frozenset(re.findall(r"{(\w+)}", text)))
    assert {key: len(found) for key, found in parts.items()} == dict.fromkeys(keys, 1)
