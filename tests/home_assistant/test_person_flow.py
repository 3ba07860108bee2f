"""Adding a person, and changing their sources."""

from __future__ import annotations

from typing import Any

import pytest
from homeassistant.config_entries import SOURCE_USER, ConfigSubentry, SubentryFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.weighbridge.const import (
    CONF_DEVICE,
    CONF_ENTITIES,
    CONF_HEIGHT,
    CONF_KEY,
    CONF_MUSCLE,
    CONF_NAME_IN_FUNCTION,
    CONF_PERSON,
    CONF_TOPIC,
    CONF_URL,
    DOMAIN,
    PERSON,
)
from custom_components.weighbridge.person_flow import is_topic_filter

from .dialog import texts
from .running import RunningFunction

TWO = pytest.mark.parametrize("people", [("Anna", "Ben")])


async def start(hass: HomeAssistant, entry: MockConfigEntry) -> SubentryFlowResult:
    result = await hass.config_entries.subentries.async_init((entry.entry_id, PERSON), context={"source": SOURCE_USER})
    return worded(result)


async def send(hass: HomeAssistant, result: SubentryFlowResult, **typed: Any) -> SubentryFlowResult:
    result = await hass.config_entries.subentries.async_configure(result["flow_id"], typed)
    await hass.async_block_till_done()
    return worded(result)


def worded(result: SubentryFlowResult) -> SubentryFlowResult:
    """The result, once each of its words is known to be in the translations."""
    words = texts()["config_subentries"][PERSON]
    if result["type"] is FlowResultType.FORM:
        step = words["step"][result["step_id"]]
        for field in result["data_schema"].schema:
            assert step["data"][field]
            assert step["data_description"][field]
        for error in (result["errors"] or {}).values():
            assert words["error"][error]
    elif result["type"] is FlowResultType.ABORT and result["reason"] != "reconfigure_successful":
        assert words["abort"][result["reason"]]
    return result


def fields(result: SubentryFlowResult) -> dict[str, Any]:
    """Field -> its selector."""
    return {str(field): selector for field, selector in result["data_schema"].schema.items()}


def without(hass: HomeAssistant, entry: MockConfigEntry, *names: str) -> None:
    for subentry in tuple(entry.subentries.values()):
        if not names or subentry.data[CONF_NAME_IN_FUNCTION] in names:
            hass.config_entries.async_remove_subentry(entry, subentry.subentry_id)


def only(entry: MockConfigEntry) -> ConfigSubentry:
    (subentry,) = entry.subentries.values()
    return subentry  # type: ignore[no-any-return]


async def test_one_account(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    """With one account, a person is added with their sources; there cannot be a second one."""
    without(hass, loaded)
    await hass.async_block_till_done()
    hass.states.async_set("person.anna", "home", {"friendly_name": "Anna"})
    result = await start(hass, loaded)
    assert CONF_NAME_IN_FUNCTION not in fields(result)
    assert CONF_MUSCLE not in fields(result)
    more = {CONF_TOPIC: "scale/+", CONF_DEVICE: "a1", CONF_ENTITIES: ["sensor.weight"], CONF_HEIGHT: 168.5}
    result = await send(hass, result, person="person.anna", **more)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert (only(loaded).title, only(loaded).unique_id) == ("Anna", "")
    assert dict(only(loaded).data) == {CONF_NAME_IN_FUNCTION: "", CONF_PERSON: "person.anna", **more}
    assert (await start(hass, loaded))["reason"] == "nobody_left"


@pytest.mark.parametrize(
    ("typed", "title"), [({"name": " Ben "}, "Ben"), ({}, "Weighbridge"), ({"person": "person.nobody"}, "Weighbridge")]
)
async def test_title(hass: HomeAssistant, loaded: MockConfigEntry, typed: dict[str, str], title: str) -> None:
    """A person has the name that was typed, or the one in Home Assistant, or that of the entry."""
    without(hass, loaded)
    await hass.async_block_till_done()
    await send(hass, await start(hass, loaded), **typed)
    assert only(loaded).title == title


@TWO
async def test_several_people(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    """With several people, one is chosen of those who are not there yet."""
    assert (await start(hass, loaded))["reason"] == "nobody_left"
    without(hass, loaded, "Ben")
    await hass.async_block_till_done()
    result = await start(hass, loaded)
    assert fields(result)[CONF_NAME_IN_FUNCTION].config["options"] == ["Ben"]
    await send(hass, result, name_in_function="Ben")
    assert [subentry.title for subentry in loaded.subentries.values()] == ["Anna", "Ben"]


@TWO
async def test_reconfigure(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    """Sources are changed; what was set is shown, and what is emptied is gone."""
    anna = next(iter(loaded.subentries.values()))
    hass.config_entries.async_update_subentry(loaded, anna, data={**anna.data, CONF_TOPIC: "scale/anna"})
    await hass.async_block_till_done()
    result = worded(await loaded.start_subentry_reconfigure_flow(hass, anna.subentry_id))
    suggested = {str(field): (field.description or {}).get("suggested_value") for field in result["data_schema"].schema}
    assert (suggested[CONF_TOPIC], suggested[CONF_NAME_IN_FUNCTION]) == ("scale/anna", "Anna")
    assert fields(result)[CONF_NAME_IN_FUNCTION].config["options"] == ["Anna"]
    result = await send(hass, result, name_in_function="Anna", device="a1")
    assert result["reason"] == "reconfigure_successful"
    assert dict(anna.data) == {CONF_NAME_IN_FUNCTION: "Anna", CONF_DEVICE: "a1"}


async def test_wrong_topic(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    """An invalid topic is reported at its field, and what was typed stays."""
    anna = only(loaded)
    result = await loaded.start_subentry_reconfigure_flow(hass, anna.subentry_id)
    result = await send(hass, result, topic="scale/#/anna", height_cm=170)
    assert result["errors"] == {CONF_TOPIC: "topic_invalid"}
    suggested = {str(field): (field.description or {}).get("suggested_value") for field in result["data_schema"].schema}
    assert (suggested[CONF_TOPIC], suggested[CONF_HEIGHT]) == ("scale/#/anna", 170)
    result = await send(hass, result, topic="scale/anna")
    assert result["reason"] == "reconfigure_successful"


async def test_not_loaded(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """An entry that is not running does not know its people."""
    hass.config.components.add(DOMAIN)
    assert (await start(hass, entry))["reason"] == "not_loaded"


async def test_function_away(hass: HomeAssistant, entry: MockConfigEntry, function: RunningFunction) -> None:
    """While the function is away since the start, sources can be changed."""
    function.stop()
    assert await hass.config_entries.async_setup(entry.entry_id)
    result = worded(await entry.start_subentry_reconfigure_flow(hass, only(entry).subentry_id))
    assert (await send(hass, result, topic="scale/#"))["reason"] == "reconfigure_successful"


async def test_inside(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    """Where the function is inside this Home Assistant, its people are these, each with a name and a muscle."""
    inside = MockConfigEntry(domain=DOMAIN, title="Weighbridge", data={CONF_URL: "", CONF_KEY: ""}, state=loaded.state)
    inside.add_to_hass(hass)
    inside.runtime_data = loaded.runtime_data
    result = await send(hass, await start(hass, inside), name="Anna", muscle="skeletal_muscle_mass_kg")
    assert only(inside).data == {CONF_NAME_IN_FUNCTION: "Anna", CONF_MUSCLE: "skeletal_muscle_mass_kg"}
    result = await send(hass, await start(hass, inside), name="Anna")
    assert result["errors"] == {"name": "name_taken"}
    await send(hass, result, name="Ben")
    assert [subentry.title for subentry in inside.subentries.values()] == ["Anna", "Ben"]


def test_topic_filter() -> None:
    """What is a topic filter of MQTT, and what is not."""
    assert all(map(is_topic_filter, ("a", "a/b", "+", "#", "a/+/b", "a/#", "/", "+/+/#")))
    assert not any(map(is_topic_filter, ("", "a#", "a/b#", "#/a", "a+", "a/+b", "a\0b", "a" * 70_000)))


@TWO
async def test_question_in_the_repairs(
    hass: HomeAssistant, loaded: MockConfigEntry, function: RunningFunction, hass_client: Any, until: Any
) -> None:
    """The question whose a reading is can be answered in the repairs, once."""
    assert await async_setup_component(hass, "repairs", {})
    from homeassistant.util import dt as dt_util

    client = await hass_client()
    queue = loaded.runtime_data.queue
    for whose in ("Ben", "nobody_discard_it"):
        item_id = await queue.add({"weight": 81.4}, subentry_id=None, source="a scale", received_at=dt_util.utcnow())
        issue_id = f"queue.{loaded.entry_id}.question.{item_id}"
        await until(lambda issue_id=issue_id: ir.async_get(hass).async_get_issue(DOMAIN, issue_id))
        shown = []
        for _ in range(2):
            response = await client.post("/api/repairs/issues/fix", json={"handler": DOMAIN, "issue_id": issue_id})
            shown.append(await response.json())
        texts_ = texts()["issues"]["question"]["fix_flow"]
        assert texts_["step"]["whose"]["description"].format(**shown[0]["description_placeholders"])
        ends = []
        for form in shown:
            response = await client.post(f"/api/repairs/issues/fix/{form['flow_id']}", json={"whose": whose})
            ends.append(await response.json())
        assert ends[0]["type"] == "create_entry"
        assert texts_["abort"][ends[1]["reason"]]
        await until(lambda: not queue.waiting)
    assert (len(function.weights("Anna")), len(function.weights("Ben"))) == (0, 1)
