"""The golden table: readings and the raw integers that they are in FIT, written by hand.

Every direction runs it: encode, patch, prove, and each outside decoder and encoder. A float32 developer field is
written as the value it tells.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

from function.fit.profile import DEVELOPER, FIELDS, told
from function.reading import Reading

#: 2026-11-23T06:31:00Z is 1 164 349 860 s after 1989-12-31T00:00:00Z.
INSTANT = datetime(2026, 11, 23, 6, 31, tzinfo=UTC)
RAW_INSTANT = 1_164_349_860

DEVELOPER_NAMES = {field.name for field in DEVELOPER}


@dataclass(frozen=True)
class Golden:
    name: str
    values: dict[str, str | int | datetime]
    raws: dict[str, int | float]

    @property
    def reading(self) -> Reading:
        given = {name: Decimal(str(v)) if not isinstance(v, datetime) else v for name, v in self.values.items()}
        return Reading(**({"measured_at": INSTANT} | given))

    @property
    def native(self) -> dict[str, int | float]:
        return {name: raw for name, raw in self.raws.items() if name not in DEVELOPER_NAMES}


def golden(name: str, values: dict[str, str | int | datetime], **raws: float) -> Golden:
    return Golden(name, values, {"timestamp": RAW_INSTANT} | raws)


def readable(raws: dict[str, int]) -> dict[str, int | float]:
    """Raw integers as this table writes them."""
    return {name: told(FIELDS[name], raw) if name in DEVELOPER_NAMES else raw for name, raw in raws.items()}


IDEA: dict[str, str | int | datetime] = {
    "weight_kg": "81.4",
    "body_fat_percent": "18.2",
    "fat_mass_kg": "14.8",
    "fat_free_mass_kg": "66.6",
    "muscle_mass_kg": "63.2",
    "bone_mass_kg": "3.4",
    "body_water_kg": "45.9",
    "body_water_percent": "56.4",
    "subcutaneous_fat_percent": "16.1",
    "visceral_fat_rating": 7,
}
IDEA_RAWS = {
    "weight": 8140,
    "percent_fat": 1820,
    "percent_hydration": 5640,
    "muscle_mass": 6320,
    "bone_mass": 340,
    "visceral_fat_rating": 7,
    "fat_mass": 14.8,
    "fat_free_mass": 66.6,
    "subcutaneous_fat": 16.1,
}
OPTIONAL = {
    "body_fat_percent": ("percent_fat",),
    "body_water_percent": ("percent_hydration",),
    "muscle_mass_kg": ("muscle_mass",),
    "bone_mass_kg": ("bone_mass",),
    "visceral_fat_rating": ("visceral_fat_rating",),
    "fat_mass_kg": ("fat_mass",),
    "fat_free_mass_kg": ("fat_free_mass",),
    "subcutaneous_fat_percent": ("subcutaneous_fat",),
}


def without(source: str) -> Golden:
    values = {name: value for name, value in IDEA.items() if name != source}
    raws = {name: raw for name, raw in IDEA_RAWS.items() if name not in OPTIONAL[source]}
    return golden(f"the idea's values without {source}", values, **raws)


GOLDEN = (
    golden("the idea's nine values", IDEA, **IDEA_RAWS),
    *(without(source) for source in OPTIONAL),
    golden("weight alone", {"weight_kg": "81.4"}, weight=8140),
    golden("64.6 kg, which truncation makes 64.59", {"weight_kg": "64.6"}, weight=6460),
    golden("a tie goes up", {"weight_kg": "82.345"}, weight=8235),
    golden("just under a tie goes down", {"weight_kg": "82.3449999999"}, weight=8234),
    golden("a tie at an odd hundredth goes up", {"weight_kg": "82.335"}, weight=8234),
    golden("the lightest", {"weight_kg": "2"}, weight=200),
    golden("the heaviest", {"weight_kg": "400"}, weight=40000),
    golden(
        "an index of 6.5 is 7", {"weight_kg": "81.4", "visceral_fat_rating": "6.5"}, weight=8140, visceral_fat_rating=7
    ),
    golden("the least fat", {"weight_kg": "81.4", "body_fat_percent": "0.1"}, weight=8140, percent_fat=10),
    golden("the most water", {"weight_kg": "81.4", "body_water_percent": "99.99"}, weight=8140, percent_hydration=9999),
    golden(
        "all that a scale may measure",
        {
            "weight_kg": "81.4",
            "body_fat_percent": "18.2",
            "body_water_percent": "56.4",
            "visceral_fat_mass_kg": "1.25",
            "bone_mass_kg": "3.4",
            "muscle_mass_kg": "63.2",
            "basal_metabolic_rate_kcal": "1812.25",
            "physique_rating": 5,
            "active_metabolic_rate_kcal": "2536.5",
            "metabolic_age_years": 38,
            "visceral_fat_rating": 7,
            "bmi": "24.65",
            "subcutaneous_fat_percent": "16.1",
            "skeletal_muscle_mass_kg": "36.05",
        },
        weight=8140,
        percent_fat=1820,
        percent_hydration=5640,
        visceral_fat_mass=125,
        bone_mass=340,
        muscle_mass=6320,
        basal_met=7249,
        physique_rating=5,
        active_met=10146,
        metabolic_age=38,
        visceral_fat_rating=7,
        bmi=247,
        subcutaneous_fat=16.1,
        skeletal_muscle_mass=36.05,
    ),
    golden(
        "the largest ratings",
        {"weight_kg": "150", "visceral_fat_rating": 59, "metabolic_age_years": 120, "physique_rating": 9, "bmi": "150"},
        weight=15000,
        visceral_fat_rating=59,
        metabolic_age=120,
        physique_rating=9,
        bmi=1500,
    ),
    golden(
        "another zone is the same instant",
        {"weight_kg": "81.4", "measured_at": INSTANT.astimezone(timezone(timedelta(hours=-11)))},
        weight=8140,
    ),
    golden(
        "a fraction of a second is cut off",
        {"weight_kg": "81.4", "measured_at": INSTANT + timedelta(microseconds=999_999)},
        weight=8140,
    ),
)
