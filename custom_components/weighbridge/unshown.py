"""Values that Garmin does not show, such as subcutaneous fat. They are kept from the receipts.

Rule: a value is shown only with the weigh-in that it came with: same instant, same weight. If that is deleted or
corrected elsewhere, its values are gone, too.

Weakness: what reached Garmin without this Home Assistant has none of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final

from homeassistant.core import HomeAssistant
from homeassistant.helpers.storage import Store

from .answers import Answer
from .outcomes import measured_at

#: As the receipt names them.
NOT_SHOWN: Final = (
    "subcutaneous_fat_percent",
    "basal_metabolic_rate_kcal",
    "active_metabolic_rate_kcal",
    "visceral_fat_mass_kg",
    "skeletal_muscle_mass_kg",
)
_WEIGHT: Final = "weight_kg"
#: Garmin may round a weight (in kg).
_SAME_WEIGHT_KG = 0.05
_SAVE_DELAY_S = 1.0


class Unshown:
    """Those of the people of one entry, by the second of the weigh-in."""

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        self._store: Store[dict[str, dict[str, dict[str, float]]]] = Store(hass, 1, f"weighbridge.{entry_id}.values")
        self._people: dict[str, dict[str, dict[str, float]]] = {}

    async def async_load(self, people: Collection[str]) -> None:
        """Read what is kept of these people. Of others, nothing stays."""
        kept = await self._store.async_load() or {}
        self._people = {person: kept.get(person, {}) for person in people}

    async def async_save(self) -> None:
        """Write what is not written yet."""
        await self._store.async_save(self._people)

    async def async_remove(self) -> None:
        await self._store.async_remove()

    def keep(self, person: str, receipt: Answer) -> None:
        """Keep what Garmin will not show of the weigh-in in this receipt."""
        at, fields, shown = measured_at(receipt), receipt.body.get("fields"), receipt.body.get("garmin")
        if at is None or person not in self._people or not isinstance(fields, list):
            return
        values = {field["name"]: field["value"] for field in fields if field["name"] in (_WEIGHT, *NOT_SHOWN)}
        if isinstance(shown, dict):
            values[_WEIGHT] = shown[_WEIGHT]
        # Another message of the same weigh-in may lack what an earlier one had. A correction takes its place.
        if _WEIGHT in values:
            values = {**self.of(person, at, values[_WEIGHT]), **values}
        if values.keys() - {_WEIGHT}:
            self._people[person][_key(at)] = values
        elif not self._people[person].pop(_key(at), None):
            return
        self._save()

    def of(self, person: str, at: datetime, weight_kg: float) -> Mapping[str, float]:
        values = self._people.get(person, {}).get(_key(at), {})
        if not values or abs(values[_WEIGHT] - weight_kg) > _SAME_WEIGHT_KG:
            return {}
        return {name: value for name, value in values.items() if name != _WEIGHT}

    def forget_others(self, person: str, instants: Collection[datetime], before: datetime) -> None:
        """Forget what came with weigh-ins that are not among these, and were before this time."""
        there = {*map(_key, instants)}
        kept = self._people.get(person, {})
        gone = [key for key in kept if key not in there and key < _key(before)]
        for key in gone:
            del kept[key]
        if gone:
            self._save()

    def _save(self) -> None:
        self._store.async_delay_save(lambda: self._people, _SAVE_DELAY_S)


def _key(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}"
