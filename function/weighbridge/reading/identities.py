"""How the values of a reading are related: rules that they must satisfy, and values that follow from others.

Rule: a contradiction between fat mass, fat-free mass, body fat and the weight refuses the reading: it is how another
person, a suitcase or a half-updated sensor looks. Any other broken rule leaves out the values in doubt. What is only
unusual is sent with a warning.

Facts (rows of the Fitdays app): fat + fat-free = weight; weight × fat % = fat mass; muscle + bone = fat-free;
water = weight × water %. Minerals are 5 to 7 % of the fat-free mass, in children and adults (Lohman and others, Human
Biology 56, 1984, no. 4). Essential fat is 2 to 5 % in men (American Council on Exercise). A body mass index of 12 was
thought to be the limit of survival; in a famine, patients lived below 10 (Collins, Nature Medicine 1, 1995, 810).
The other limits, such as 1 to 10 % for bones and what is usual, are judgment.

Strategy: one table, which the code walks. Apps round each number to a tenth, the weight too, and a rounded percentage
counts in proportion to the weight. Each rule allows the sum of its roundings, so that no correct row is refused:
0.14 kg of fat mass for 81.4 kg. The mistakes that the rules should find are larger. Rules that doubt one value come
before rules that doubt two, so that a wrong muscle mass does not cost the bone mass.

Weakness: a mistake within the rounding is not found. Of two values that contradict each other, both are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple

from ..errors import FieldError
from ..reasons import Reason, Why
from .measures import MEASURES

Values = Mapping[str, Decimal]


class Relation(Enum):
    """How the two sides of a rule compare, in words."""

    EQUAL = "equal to"
    AT_MOST = "at most"
    AT_LEAST = "at least"

    __hash__ = object.__hash__  # Enum's own is a Python function; this is the hot path


class Outcome(Enum):
    """What happens to a reading that breaks a rule."""

    REFUSE = "refused"
    LEAVE_OUT = "left out"
    WARN = "a warning"


class Rule(NamedTuple):
    """Two ways to the same quantity, and what happens if they disagree."""

    #: The values without which the rule says nothing. The weight is always there.
    needs: tuple[str, ...]
    #: "fat mass": the quantity, and what it is compared to.
    quantity: str
    relation: Relation
    way: str
    unit: str
    measured: Callable[[Values], Decimal]
    limit: Callable[[Values], Decimal]
    outcome: Outcome
    #: The values that are left out.
    doubted: tuple[str, ...] = ()
    #: Half a tenth for each rounded number, by its effect on the result. None: no difference is allowed.
    allowed: Callable[[Values], Decimal] | None = None
    #: Whether `way` has the number of the limit.
    constant: bool = False


class Broken(NamedTuple):
    """A rule that values break, with both sides."""

    rule: Rule
    measured: Decimal
    limit: Decimal
    allowed: Decimal

    @property
    def reason(self) -> Reason:
        """What disagrees: both sides, and the difference that is allowed."""
        rule = self.rule
        sides: dict[str, Decimal | str] = {
            "quantity": rule.quantity,
            "measured": _short(self.measured),
            "unit": rule.unit,
            "other": rule.way,
        }
        if rule.constant:
            return (Why.ABOVE_LIMIT if rule.relation is _AT_MOST else Why.BELOW_LIMIT)(**sides)
        sides["limit"] = _short(self.limit)
        if rule.allowed is None:
            return (Why.ABOVE_SHARE if rule.relation is _AT_MOST else Why.BELOW_SHARE)(**sides)
        sides["allowed"] = _short(self.allowed)
        return (Why.DOES_NOT_FIT if rule.relation is _EQUAL else Why.MORE_THAN_WHOLE)(**sides)

    def error(self, given: Values) -> FieldError:
        """The same as an error of the first value of the rule that was given, not derived."""
        name = next((name for name in self.rule.needs if name in given), self.rule.needs[0])
        return FieldError(name, given.get(name), Why.CONTRADICTION(reason=self.reason))


#: Derived values are rounded to this step, ten thousand times finer than any field of FIT.
_STEP = Decimal("0.000001")
#: Half of the tenth that apps round to.
_ROUNDING = Decimal("0.05")
_HUNDRED = Decimal(100)
_EQUAL, _AT_MOST, _AT_LEAST = Relation

_WATER = ("body_water_kg", "body_water_percent")


def rounding_of_a_percentage(v: Values) -> Decimal:
    """A mass, the weight and a percentage are rounded; the percentage counts in proportion to the weight."""
    return _ROUNDING * (2 + v["weight_kg"] / _HUNDRED)


def _rounding_of_parts(v: Values) -> Decimal:
    """Two parts and their whole are rounded, and both sides may come from percentages."""
    return _ROUNDING * (3 + 2 * v["weight_kg"] / _HUNDRED)


def _part(part: str, whole: str, *doubted: str) -> Rule:
    """A part never weighs more than its whole. The part is in doubt, unless others are named."""
    return Rule(
        (part, whole),
        MEASURES[part].label,
        _AT_MOST,
        f"the {MEASURES[whole].label}, of which it is a part",
        "kg",
        itemgetter(part),
        itemgetter(whole),
        Outcome.LEAVE_OUT,
        doubted or (part,),
        _rounding_of_parts,
    )


def _with_bone(muscle: str) -> Rule:
    return Rule(
        (muscle, "bone_mass_kg", "fat_free_mass_kg"),
        f"{MEASURES[muscle].label} + bone mass",
        _AT_MOST,
        "the fat-free mass, of which they are parts",
        "kg",
        lambda v: v[muscle] + v["bone_mass_kg"],
        itemgetter("fat_free_mass_kg"),
        Outcome.LEAVE_OUT,
        (muscle, "bone_mass_kg"),
        _rounding_of_parts,
    )


def _share(part: str, whole: str, relation: Relation, percent: str, outcome: Outcome) -> Rule:
    """A part is within a share of its whole. The share is generous, so no rounding is allowed for."""
    factor = Decimal(percent) / _HUNDRED
    return Rule(
        (part, whole),
        MEASURES[part].label,
        relation,
        f"{percent} % of the {MEASURES[whole].label}",
        "kg",
        itemgetter(part),
        lambda v: v[whole] * factor,
        outcome,
        (part,) if outcome is Outcome.LEAVE_OUT else (),
    )


def _of_height(relation: Relation, extreme: str, limit: Decimal) -> Rule:
    """The body mass index that follows from a height is possible: 70 inches are not 70 cm."""
    return Rule(
        ("height_cm",),
        "weight ÷ height²",
        relation,
        f"the {extreme} possible body mass index, {limit:f} kg/m²",
        "kg/m²",
        _index,
        lambda _: limit,
        Outcome.LEAVE_OUT,
        ("height_cm",),
        constant=True,
    )


def _index(v: Values) -> Decimal:
    return v["weight_kg"] / (v["height_cm"] / _HUNDRED) ** 2


def _usual(name: str, relation: Relation, extreme: str, limit: str) -> Rule:
    """A value beyond this is possible, and more often a slip."""
    measure, number = MEASURES[name], Decimal(limit)
    return Rule(
        (name,),
        measure.label,
        relation,
        f"{limit} {measure.unit}, the {extreme} usual value",
        measure.unit,
        itemgetter(name),
        lambda _: number,
        Outcome.WARN,
        constant=True,
    )


#: Walked in this order.
RULES = (
    Rule(
        ("fat_mass_kg", "fat_free_mass_kg"),
        "weight",
        _EQUAL,
        "fat mass + fat-free mass",
        "kg",
        itemgetter("weight_kg"),
        lambda v: v["fat_mass_kg"] + v["fat_free_mass_kg"],
        Outcome.REFUSE,
        allowed=lambda _: 3 * _ROUNDING,
    ),
    Rule(
        ("fat_mass_kg", "body_fat_percent"),
        "fat mass",
        _EQUAL,
        "weight × body fat %",
        "kg",
        itemgetter("fat_mass_kg"),
        lambda v: v["weight_kg"] * v["body_fat_percent"] / _HUNDRED,
        Outcome.REFUSE,
        allowed=rounding_of_a_percentage,
    ),
    _part("fat_free_mass_kg", "weight_kg")._replace(outcome=Outcome.REFUSE, doubted=()),
    # Body fat is at most 90 %.
    _share("fat_mass_kg", "weight_kg", _AT_MOST, "90", Outcome.REFUSE),
    _share("fat_free_mass_kg", "weight_kg", _AT_LEAST, "10", Outcome.REFUSE),
    _part("muscle_mass_kg", "weight_kg"),
    _part("muscle_mass_kg", "fat_free_mass_kg"),
    _share("bone_mass_kg", "weight_kg", _AT_MOST, "10", Outcome.LEAVE_OUT),
    _share("bone_mass_kg", "fat_free_mass_kg", _AT_MOST, "10", Outcome.LEAVE_OUT),
    _share("bone_mass_kg", "fat_free_mass_kg", _AT_LEAST, "1", Outcome.LEAVE_OUT),
    _share("body_water_kg", "weight_kg", _AT_MOST, "100", Outcome.LEAVE_OUT)._replace(doubted=_WATER),
    _part("body_water_kg", "fat_free_mass_kg", *_WATER),
    _part("skeletal_muscle_mass_kg", "weight_kg"),
    _part("skeletal_muscle_mass_kg", "fat_free_mass_kg"),
    _part("visceral_fat_mass_kg", "weight_kg"),
    _part("visceral_fat_mass_kg", "fat_mass_kg"),
    Rule(
        ("subcutaneous_fat_percent", "body_fat_percent"),
        "subcutaneous fat",
        _AT_MOST,
        "the body fat, of which it is a part",
        "%",
        itemgetter("subcutaneous_fat_percent"),
        itemgetter("body_fat_percent"),
        Outcome.LEAVE_OUT,
        ("subcutaneous_fat_percent",),
        # Body fat may come from a mass and the weight, both rounded.
        lambda v: _ROUNDING * (2 + 2 * _HUNDRED / v["weight_kg"]),
    ),
    _of_height(_AT_MOST, "highest", MEASURES["bmi"].maximum),
    _of_height(_AT_LEAST, "lowest", MEASURES["bmi"].minimum),
    Rule(
        _WATER,
        "body water",
        _EQUAL,
        "weight × body water %",
        "kg",
        itemgetter("body_water_kg"),
        lambda v: v["weight_kg"] * v["body_water_percent"] / _HUNDRED,
        Outcome.LEAVE_OUT,
        _WATER,
        rounding_of_a_percentage,
    ),
    _part("skeletal_muscle_mass_kg", "muscle_mass_kg", "skeletal_muscle_mass_kg", "muscle_mass_kg"),
    _with_bone("muscle_mass_kg"),
    _with_bone("skeletal_muscle_mass_kg"),
    Rule(
        ("bmi", "height_cm"),
        "body mass index",
        _EQUAL,
        "weight ÷ height²",
        "kg/m²",
        itemgetter("bmi"),
        _index,
        Outcome.LEAVE_OUT,
        ("bmi", "height_cm"),
        # A height is given in whole centimeters: the index can be this much higher if it is half a centimeter less.
        lambda v: (
            _ROUNDING
            + (v["weight_kg"] + _ROUNDING) / ((v["height_cm"] - Decimal("0.5")) / _HUNDRED) ** 2
            - v["weight_kg"] / (v["height_cm"] / _HUNDRED) ** 2
        ),
    ),
    _usual("weight_kg", _AT_LEAST, "lowest", "20"),
    _usual("weight_kg", _AT_MOST, "highest", "250"),
    _usual("body_fat_percent", _AT_LEAST, "lowest", "3"),
    _usual("body_fat_percent", _AT_MOST, "highest", "60"),
    _usual("bmi", _AT_LEAST, "lowest", "12"),
    _usual("bmi", _AT_MOST, "highest", "70"),
)

#: The values whose contradictions refuse the reading.
REFUSING = frozenset(("weight_kg", *(name for rule in RULES if rule.outcome is Outcome.REFUSE for name in rule.needs)))

#: Fitdays' muscle is all lean soft tissue, so there (and only there) muscle and bone are all that is not fat.
LEAN_SOFT_TISSUE = _with_bone("muscle_mass_kg")._replace(
    relation=_EQUAL, way="the fat-free mass, which in the Fitdays app they make up"
)

#: The name under which `share_rule` finds the percentage that came next to a mass.
SHARE = "percent_of_weight"


def share_rule(mass: str) -> Rule:
    """A mass and its percentage of the weight, which an app shows next to it, agree. The mass is in doubt if not."""
    return Rule(
        (mass, SHARE),
        MEASURES[mass].label,
        _EQUAL,
        f"weight × {MEASURES[mass].label} %",
        "kg",
        itemgetter(mass),
        lambda v: v["weight_kg"] * v[SHARE] / _HUNDRED,
        Outcome.LEAVE_OUT,
        (mass,),
        rounding_of_a_percentage,
    )


def contradictions(values: Values, rules: tuple[Rule, ...] | None = None) -> list[Broken]:
    """The rules that the values break: those of the table that do more than warn, or the given ones, in their order.

    `values` has the weight, and each value is in its range.
    """
    if rules is None:
        return _broken(values, _applicable(frozenset(values))[0])
    return _broken(values, [rule for rule in rules if all(map(values.__contains__, rule.needs))])


def unusual(values: Values) -> list[Broken]:
    """The rules that only warn, of those that the values break."""
    return _broken(values, _applicable(frozenset(values))[1])


@lru_cache(maxsize=1024)
def _applicable(names: frozenset[str]) -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
    """The rules that say something about these values: those that must hold, and those that only warn."""
    found = [rule for rule in RULES if names.issuperset(rule.needs)]
    return (
        tuple(rule for rule in found if rule.outcome is not Outcome.WARN),
        tuple(rule for rule in found if rule.outcome is Outcome.WARN),
    )


def _broken(values: Values, rules: Iterable[Rule]) -> list[Broken]:
    broken = []
    for rule in rules:
        measured, limit, relation = rule.measured(values), rule.limit(values), rule.relation
        # Nearly every rule holds exactly, or is an equation; this is the hot path.
        if (relation is _AT_MOST and measured <= limit) or (relation is _AT_LEAST and measured >= limit):
            continue
        allowed = rule.allowed(values) if rule.allowed else _STEP
        if abs(measured - limit) > allowed:
            broken.append(Broken(rule, measured, limit, allowed))
    return broken


def _short(value: Decimal) -> Decimal:
    return Decimal(f"{value:.2f}".rstrip("0").rstrip("."))


class Derivation(NamedTuple):
    """A value that follows exactly from others, with its formula."""

    name: str
    needs: tuple[str, ...]
    formula: str
    calculate: Callable[[Values], Decimal]


#: In this order; the first that can be calculated is used. Nothing is estimated.
DERIVATIONS = (
    Derivation(
        "body_fat_percent",
        ("fat_mass_kg",),
        "100 × fat_mass_kg ÷ weight_kg",
        lambda v: _HUNDRED * v["fat_mass_kg"] / v["weight_kg"],
    ),
    Derivation(
        "body_fat_percent",
        ("fat_free_mass_kg",),
        "100 × (weight_kg − fat_free_mass_kg) ÷ weight_kg",
        lambda v: _HUNDRED * (v["weight_kg"] - v["fat_free_mass_kg"]) / v["weight_kg"],
    ),
    Derivation(
        "fat_mass_kg",
        ("fat_free_mass_kg",),
        "weight_kg − fat_free_mass_kg",
        lambda v: v["weight_kg"] - v["fat_free_mass_kg"],
    ),
    Derivation(
        "fat_mass_kg",
        ("body_fat_percent",),
        "weight_kg × body_fat_percent ÷ 100",
        lambda v: v["weight_kg"] * v["body_fat_percent"] / _HUNDRED,
    ),
    Derivation(
        "fat_free_mass_kg",
        ("fat_mass_kg",),
        "weight_kg − fat_mass_kg",
        lambda v: v["weight_kg"] - v["fat_mass_kg"],
    ),
    Derivation(
        "body_water_percent",
        ("body_water_kg",),
        "100 × body_water_kg ÷ weight_kg",
        lambda v: _HUNDRED * v["body_water_kg"] / v["weight_kg"],
    ),
    Derivation(
        "body_water_kg",
        ("body_water_percent",),
        "weight_kg × body_water_percent ÷ 100",
        lambda v: v["weight_kg"] * v["body_water_percent"] / _HUNDRED,
    ),
    Derivation(
        "bmi",
        ("height_cm",),
        "weight_kg ÷ (height_cm ÷ 100)²",
        lambda v: v["weight_kg"] / (v["height_cm"] / _HUNDRED) ** 2,
    ),
)


def derive(values: dict[str, Decimal]) -> dict[str, str]:
    """Add the values that follow from `values`, each within its range, and return the formula of each.

    A value below its range was not measured: fat-free mass = weight does not mean a body without fat. One above it
    follows only from values that break a rule.
    """
    derived: dict[str, str] = {}
    for rule in _derivations(frozenset(values)):
        if rule.name in values or not all(map(values.__contains__, rule.needs)):
            continue
        value, measure = rule.calculate(values).quantize(_STEP), MEASURES[rule.name]
        if measure.minimum <= value <= measure.maximum:
            values[rule.name] = value
            derived[rule.name] = rule.formula
    return derived


@lru_cache(maxsize=1024)
def _derivations(names: frozenset[str]) -> tuple[Derivation, ...]:
    """The derivations that may add something to these values."""
    found: dict[Derivation, None] = {}
    known = set(names)
    for rule in DERIVATIONS:
        if rule.name not in names and known.issuperset(rule.needs):
            found[rule] = None
            known.add(rule.name)
    return tuple(found)
