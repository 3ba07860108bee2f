"""The actions. Each answers with what the function said.

Rule: values, times and words go to the function as they came. What it rejects is an error that names the field, what
was received, and why. A weigh-in is stored before it is sent: if the function or Garmin is away, the response says
that it waits, and it goes out later.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import voluptuous as vol
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import config_validation as cv
from homeassistant.util import dt as dt_util
from homeassistant.util.json import JsonValueType

from .answers import Answer
from .const import CONF_HEIGHT, DOMAIN
from .people import find_people, loaded_entries
from .person import Person
from .queue import Item, State, with_height
from .runtime import WeighbridgeEntry

#: The values of a weigh-in, as the function names them.
VALUES: Final = (
    "weight_kg",
    "body_fat_percent",
    "fat_mass_kg",
    "fat_free_mass_kg",
    "muscle_mass_kg",
    "bone_mass_kg",
    "body_water_kg",
    "body_water_percent",
    "subcutaneous_fat_percent",
    "visceral_fat_rating",
    "visceral_fat_mass_kg",
    "bmi",
    "basal_metabolic_rate_kcal",
    "active_metabolic_rate_kcal",
    "metabolic_age_years",
    "physique_rating",
    "skeletal_muscle_mass_kg",
    "height_cm",
)
#: Rows in one request. Garmin may time out on more.
_BATCH: Final = 200
#: More than decades of weigh-ins need.
_LARGEST_FILE: Final = 20_000_000

_PERSON = {vol.Optional("person"): cv.string}
#: With a unit it is a text, such as "179.5 lb".
_VALUE = vol.Any(vol.Coerce(float), cv.string)
_ADD = vol.Schema(
    _PERSON
    | {vol.Optional("measured_at"): cv.datetime, vol.Optional("replace", default=False): cv.boolean}
    | {(vol.Required if name == "weight_kg" else vol.Optional)(name): _VALUE for name in VALUES}
)
_GET = vol.Schema(_PERSON | {vol.Optional("start_date"): cv.date, vol.Optional("end_date"): cv.date})
_DELETE = vol.Schema(_PERSON | {vol.Required("id"): cv.string})
_IMPORT = vol.Schema(
    vol.All(
        _PERSON | {vol.Optional("rows"): [dict], vol.Optional("csv"): cv.string, vol.Optional("file"): cv.string},
        cv.has_at_least_one_key("rows", "csv", "file"),
    )
)
_ANSWER = vol.Schema({vol.Required("item_id"): cv.string, vol.Required("person"): cv.string})


@callback
def async_setup(hass: HomeAssistant) -> None:
    """Register the actions, once for all entries."""
    for name, action, schema, response in (
        ("add_weigh_in", _add_weigh_in, _ADD, SupportsResponse.OPTIONAL),
        ("get_weigh_ins", _get_weigh_ins, _GET, SupportsResponse.ONLY),
        ("delete_weigh_in", _delete_weigh_in, _DELETE, SupportsResponse.OPTIONAL),
        ("import_history", _import_history, _IMPORT, SupportsResponse.OPTIONAL),
        ("answer", _answer, _ANSWER, SupportsResponse.OPTIONAL),
    ):
        hass.services.async_register(DOMAIN, name, action, schema=schema, supports_response=response)


async def _add_weigh_in(call: ServiceCall) -> ServiceResponse:
    hass, now = call.hass, dt_util.utcnow()
    entry, person = _entry_and_person(hass, call.data.get("person"))
    reading: dict[str, Any] = {name: call.data[name] for name in VALUES if name in call.data}
    if at := call.data.get("measured_at"):
        reading["measured_at"] = (at if at.tzinfo else at.replace(tzinfo=dt_util.get_default_time_zone())).isoformat()
    queue = entry.runtime_data.queue
    subentry_id = person.subentry_id if person else None
    item_id = await queue.add(
        reading,
        subentry_id=subentry_id,
        source="Home Assistant",
        received_at=now,
        replaces=call.data["replace"],
    )
    answer = await queue.send_now(item_id)
    if answer.ok:
        return {"item_id": item_id, **answer.body}
    if answer.candidates:
        return {"item_id": item_id, "status": "question", "candidates": list(answer.candidates), **_of(answer)}
    if answer.again == "never":
        raise _error(answer)
    return {"item_id": item_id, "status": "waiting", **_of(answer)}


async def _get_weigh_ins(call: ServiceCall) -> ServiceResponse:
    entry, person = _one_person(call.hass, call.data.get("person"))
    last: date = call.data.get("end_date") or dt_util.now().date() + timedelta(days=1)
    first: date = call.data.get("start_date") or last - timedelta(days=31)
    answer = await entry.runtime_data.function.readings(
        first.isoformat(), last.isoformat(), person=person.name_in_function
    )
    if not answer.ok:
        raise _error(answer)
    return {"source": answer.body["source"], "weigh_ins": answer.body["readings"]}


async def _delete_weigh_in(call: ServiceCall) -> ServiceResponse:
    entry, person = _one_person(call.hass, call.data.get("person"))
    weigh_in_id: str = call.data["id"]
    answer = await entry.runtime_data.function.delete(weigh_in_id, person=person.name_in_function)
    if not answer.ok:
        raise _error(answer)
    # An id begins with its day.
    await person.async_look(date.fromisoformat(weigh_in_id.partition(".")[0]))
    return {"id": weigh_in_id, "deleted": True}


async def _answer(call: ServiceCall) -> ServiceResponse:
    item_id, named = call.data["item_id"], call.data["person"]
    entry, item = _asking_item(call.hass, item_id)
    names = [person.name_in_function for _, person in find_people(call.hass, named)] or [named]
    name = next((name for name in names if name in item.candidates), named)
    try:
        await entry.runtime_data.queue.answer(item_id, name)
    except LookupError:
        candidates = ", ".join(item.candidates)
        raise _invalid("not_a_candidate", person=named, candidates=candidates) from None
    return {"item_id": item_id, "person": name}


# -- history -----------------------------------------------------------------------------------------------


async def _import_history(call: ServiceCall) -> ServiceResponse:
    hass = call.hass
    entry, person = _entry_and_person(hass, call.data.get("person"))
    if "file" in call.data:
        rows = await hass.async_add_executor_job(_rows_of_file, hass, call.data["file"])
    else:
        rows = call.data["rows"] if "rows" in call.data else _rows_of_csv(call.data["csv"])
    if not rows:
        raise _invalid("no_rows")
    height = person.subentry.data.get(CONF_HEIGHT) if person else None
    counts: Counter[str] = Counter()
    rejected: list[JsonValueType] = []
    for start in range(0, len(rows), _BATCH):
        batch = [with_height(_plain(row), height) for row in rows[start : start + _BATCH]]
        name = person.name_in_function if person else ""
        answer = await entry.runtime_data.function.post(batch, person=name)
        results = answer.body.get("results") if answer.ok else None
        if not isinstance(results, list) or len(results) != len(batch):
            raise HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key="import_stopped",
                translation_placeholders={"done": str(start), "rows": str(len(rows)), "reason": answer.text},
            )
        for number, result in enumerate(results, start + 1):
            for each in _flat(result):
                counts[each.outcome or ("rejected" if each.again == "never" else "not_sent")] += 1
                if person:
                    person.keep(each)
                if not each.ok:
                    rejected.append({"row": number, "reason": each.reason, "again": each.again})
    for each_person in [person] if person else entry.runtime_data.people.values():
        entry.async_create_background_task(hass, each_person.async_read_history(), "weighbridge history")
    return {"rows": len(rows), "outcomes": dict(counts), "rejected": rejected}


def _rows_of_file(hass: HomeAssistant, name: str) -> list[Mapping[str, Any]]:
    if not hass.config.is_allowed_path(name):
        raise _invalid("path_not_allowed", path=name)
    path = Path(name)
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise _invalid("file_too_large", path=name)
        text = path.read_text("utf-8-sig")
    except OSError as e:
        raise _invalid("file_unreadable", path=name, reason=str(e.strerror)) from None
    except UnicodeDecodeError:
        raise _invalid("file_not_text", path=name) from None
    if not text.lstrip().startswith("["):
        return _rows_of_csv(text)
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError):
        raise _invalid("file_not_text", path=name) from None
    if not all(isinstance(row, dict) for row in rows):
        raise _invalid("file_not_text", path=name)
    return list(rows)


def _rows_of_csv(text: str) -> list[Mapping[str, Any]]:
    """Each row by its headers. Raises `ServiceValidationError`."""
    text = text.lstrip("\ufeff")
    header = text.partition("\n")[0]
    delimiter = max(";\t,", key=header.count)
    rows: list[Mapping[str, Any]] = []
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        names = [name.strip() for name in reader.fieldnames or ()]
        if len(set(names)) < len(names):
            raise _invalid("csv_headers_twice")
        reader.fieldnames = names
        for row in reader:
            if None in row:
                raise _invalid("csv_cells", line=str(reader.line_num))
            rows.append({name: cell for name, cell in row.items() if cell})
    except csv.Error as e:
        raise _invalid("csv_damaged", reason=str(e)) from None
    return [row for row in rows if row]


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as JSON has it: YAML makes dates of what looks like one."""
    return {
        str(name): cell if cell is None or isinstance(cell, str | int | float) else str(cell)
        for name, cell in row.items()
    }


def _flat(result: Mapping[str, Any]) -> Iterator[Answer]:
    """A row may hold several weigh-ins."""
    parts = result.get("results")
    if isinstance(parts, list):
        for part in parts:
            yield from _flat(part)
    else:
        yield Answer(200, result)


# -- whose -------------------------------------------------------------------------------------------------


def _entry_and_person(hass: HomeAssistant, named: str | None) -> tuple[WeighbridgeEntry, Person | None]:
    """Without a name, the function finds the person. Raises `ServiceValidationError`."""
    if named:
        if len(found := find_people(hass, named)) == 1:
            return found[0]
        raise _invalid("person_unknown", person=named)
    entries = loaded_entries(hass)
    if not entries:
        raise _invalid("not_loaded")
    if len(entries) > 1:
        raise _invalid("person_needed")
    people = list(entries[0].runtime_data.people.values())
    return entries[0], people[0] if len(people) == 1 else None


def _one_person(hass: HomeAssistant, named: str | None) -> tuple[WeighbridgeEntry, Person]:
    entry, person = _entry_and_person(hass, named)
    if person is None:
        raise _invalid("person_needed")
    return entry, person


def _asking_item(hass: HomeAssistant, item_id: str) -> tuple[WeighbridgeEntry, Item]:
    for entry in loaded_entries(hass):
        for item in entry.runtime_data.queue.waiting:
            if item.id == item_id and item.state is State.ASKING:
                return entry, item
    raise _invalid("no_question", item_id=item_id)


# -- errors ------------------------------------------------------------------------------------------------


def _of(answer: Answer) -> dict[str, Any]:
    return {"final": False, "summary": answer.text, "problem": answer.kind}


def _error(problem: Answer) -> HomeAssistantError:
    if problem.again != "never":
        return HomeAssistantError(
            translation_domain=DOMAIN, translation_key="not_done", translation_placeholders={"reason": problem.text}
        )
    errors: Sequence[Mapping[str, Any]] = problem.errors
    if len(errors) == 1:
        [error] = errors
        return _invalid(
            "value_rejected", field=error.get("field"), input=error.get("input"), reason=error.get("message")
        )
    return _invalid("rejected", reason=problem.reason)


def _invalid(key: str, **placeholders: object) -> ServiceValidationError:
    texts = {name: str(text) for name, text in placeholders.items()}
    return ServiceValidationError(translation_domain=DOMAIN, translation_key=key, translation_placeholders=texts)
