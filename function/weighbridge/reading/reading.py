"""Reading: one weigh-in in SI units and aware UTC.

Rule: an impossible or contradictory reading cannot exist; nothing after this module validates. Numbers are
`Decimal`, so that 64.6 kg is 64.6 and not 64.599999. `None` means not measured; a zero never does.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, field_validator, model_validator

from ..errors import FieldError, ReadingRejected
from .identities import contradictions
from .measures import MEASURES, all_out_of_range


class Reading(BaseModel):
    """One weigh-in. Ranges and units: `MEASURES`. Raises `ReadingRejected` if it is impossible."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: UTC, whole seconds: FIT timestamps have no fractions.
    measured_at: AwareDatetime
    weight_kg: Decimal
    body_fat_percent: Decimal | None = None
    fat_mass_kg: Decimal | None = None
    fat_free_mass_kg: Decimal | None = None
    muscle_mass_kg: Decimal | None = None
    bone_mass_kg: Decimal | None = None
    body_water_kg: Decimal | None = None
    body_water_percent: Decimal | None = None
    subcutaneous_fat_percent: Decimal | None = None
    visceral_fat_rating: Decimal | None = None
    visceral_fat_mass_kg: Decimal | None = None
    bmi: Decimal | None = None
    basal_metabolic_rate_kcal: Decimal | None = None
    active_metabolic_rate_kcal: Decimal | None = None
    metabolic_age_years: Decimal | None = None
    physique_rating: Decimal | None = None
    skeletal_muscle_mass_kg: Decimal | None = None
    height_cm: Decimal | None = None
    person: str | None = None

    @field_validator("measured_at")
    @classmethod
    def _utc(cls, value: datetime) -> datetime:
        return value.astimezone(UTC).replace(microsecond=0)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        known = {name: value for name, value in self.__dict__.items() if value is not None and name in MEASURES}
        errors = all_out_of_range(known)
        if not errors:
            errors = [broken.error(known) for broken in contradictions(known)]
        if self.person is not None and (not 0 < len(self.person) <= 64 or not self.person.isprintable()):
            errors.append(FieldError("person", self.person[:80], "A name has 1 to 64 printable characters."))
        if errors:
            raise ReadingRejected(errors)
        return self
