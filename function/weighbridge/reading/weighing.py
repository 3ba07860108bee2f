"""Whether two messages are about one weigh-in, what the second adds to the first, and both together.

Rule: only raw integers of FIT are compared, and only fields that both sides can show. They are compared exactly, except
for the roundings of one value in two apps. Two weights that differ by more than a scale's wobble are two weigh-ins, and
so are values that contradict each other.

Facts: many scales publish a weigh-in several times within seconds, and most of them the weight first and the rest
later (Theengs 202, OpenMQTTGateway 760, Tasmota 25049). The weight may settle in between. One app shows muscle and
water as a mass in its export and as a percentage in its cloud, each to a tenth: the same muscle differs by 0.1 kg.

Weakness: two people of nearly the same weight, who step on a plain scale within the window and are not configured in
`WEIGHBRIDGE_PEOPLE`, become one weigh-in.
"""

from __future__ import annotations

from collections.abc import Collection

from ..fit.encode import RawFields
from ..fit.profile import FIELDS
from .measures import WOBBLE_KG, WOBBLE_SHARE

#: The fields that Garmin shows.
SHOWN = (
    "weight",
    "bmi",
    "percent_fat",
    "percent_hydration",
    "bone_mass",
    "muscle_mass",
    "visceral_fat_rating",
    "physique_rating",
    "metabolic_age",
)

#: These differ when the weight does, or always.
_FOLLOWING = frozenset(("timestamp", "weight", "bmi", "fat_mass", "fat_free_mass"))

#: Raw, and how many parts of the lighter weight.
_WOBBLE = int(WOBBLE_KG * 100)
_WOBBLE_PART = int(1 / WOBBLE_SHARE)


def added(ours: RawFields, held: RawFields, fields: Collection[str] = SHOWN) -> list[str]:
    """The attributes of a reading that `ours` has among these fields and `held` has not."""
    return [FIELDS[name].source for name in fields if name in ours and name not in held]


def changed(ours: RawFields, held: RawFields, fields: Collection[str] = SHOWN) -> list[str]:
    """The attributes of a reading that both have among these fields, with different values."""
    return [FIELDS[name].source for name in fields if name in ours and name in held and ours[name] != held[name]]


#: Raw: what two roundings make of a value that is a product: 0.1 kg of muscle, 0.1 % of water.
_ROUNDINGS = {"muscle_mass": 10, "percent_hydration": 10}


def is_one_weighing(first: RawFields, second: RawFields, window_s: float) -> bool:
    """Whether both are messages of one weigh-in: at most `window_s` seconds apart (0 = never), and no contradiction."""
    if not window_s or abs(first["timestamp"] - second["timestamp"]) > window_s:
        return False
    apart, lighter = abs(first["weight"] - second["weight"]), min(first["weight"], second["weight"])
    if apart > _WOBBLE or apart * _WOBBLE_PART > lighter:
        return False
    return all(
        abs(second.get(name, raw) - raw) <= _ROUNDINGS.get(name, 0)
        for name, raw in first.items()
        if name not in _FOLLOWING
    )


def together(first: RawFields, second: RawFields) -> RawFields:
    """The values of both, at the first's instant. Where both have a field, that of the one with more values is taken;
    if they have equally many, the first's."""
    # Only fields that Garmin shows are counted: it makes no difference whether the first is a message or an entry.
    if _count(second) > _count(first):
        return {**first, **second, "timestamp": first["timestamp"]}
    return {**second, **first}


def _count(raws: RawFields) -> int:
    return sum(name in raws for name in SHOWN)
