"""Reading: one weigh-in in SI units and aware UTC.

Rule: an impossible or contradictory reading cannot exist; nothing after this module validates. Numbers are
`Decimal`, so that 64.6 kg is 64.6 and not 64.599999. `None` means not measured; a zero never does.

Strategy: a frozen dataclass, because `interpret` has already turned words and numbers into these types. A model of
pydantic that checks the same takes 65 ms of each start, a quarter of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Self

from ..errors import FieldError, ReadingRejected
from ..reasons import Reason, Why
from .identities import contradictions
from .measures import MEASURES, all_out_of_range

#: In characters: a name of a person.
LONGEST_NAME = 64


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One weigh-in. Ranges and units: `MEASURES`. Raises `ReadingRejected` if it is impossible."""

    #: UTC, whole seconds: FIT timestamps have no fractions.
    measured_at: datetime
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

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """The reading of values by name, as a file holds them."""
        return cls(**values)

    def __post_init__(self) -> None:
        errors = [] if _is_aware(self.measured_at) else [_unlike(self, "measured_at", Why.INSTANT_EXPECTED())]
        known = {name: value for name, value in self.__dict__.items() if value is not None and name in MEASURES}
        errors += [
            _unlike(self, name, Why.DECIMAL_EXPECTED())
            for name, value in known.items()
            if not isinstance(value, Decimal)
        ]
        if "weight_kg" not in known:
            errors.append(_unlike(self, "weight_kg", Why.DECIMAL_EXPECTED()))
        if not errors:
            errors = all_out_of_range(known)
        if not errors:
            errors = [broken.error(known) for broken in contradictions(known)]
        if self.person is not None and not _is_name(self.person):
            errors.append(_unlike(self, "person", Why.NAME_OF_LENGTH_EXPECTED(maximum=LONGEST_NAME)))
        if errors:
            raise ReadingRejected(errors)
        at = self.measured_at
        if at.tzinfo is not UTC or at.microsecond:
            # The one change that a frozen reading has, before anyone sees it.
            object.__setattr__(self, "measured_at", at.astimezone(UTC).replace(microsecond=0))


def _is_aware(value: object) -> bool:
    return isinstance(value, datetime) and value.utcoffset() is not None


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_NAME and value.isprintable()


def _unlike(reading: Reading, name: str, expected: Reason) -> FieldError:
    return FieldError(name, str(getattr(reading, name))[:80], expected)
