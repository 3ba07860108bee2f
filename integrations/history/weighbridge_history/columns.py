"""Which column says what, and how that is known.

Strategy: what the person wrote into a mapping file counts first. Then a header that is known. Then, since the Fitdays
app writes its headers in the phone's language but always in the same order, the place of a column, if the units of all
the first columns are those of that order. Then the arithmetic between columns, which knows no language: fat and
fat-free mass make the weight, muscle and bone the fat-free mass, water and protein the muscle. What is still unknown is
shown and left out.

Facts (a real export of the app, and rows of it): 43 columns; 19 values, then body segments; weight × fat % = fat mass
within 0.05 kg, sums within 0.1 kg.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, permutations
from typing import NamedTuple

from weighbridge.reading.dialects import is_missing, normal

from .errors import MappingInvalid

MASS, PERCENT, ENERGY, BARE, TIME, OTHER = "mass", "%", "kcal", "number", "time", "text"

#: The words that the function is given, as the Fitdays app and openScale have them, and what they are measured in.
KIND_OF = {
    "time": TIME,
    "weight": MASS,
    "BMI": BARE,
    "body fat": PERCENT,
    "subcutaneous fat": PERCENT,
    "visceral fat": BARE,
    "body water": PERCENT,
    "skeletal muscle": PERCENT,
    "muscle mass": MASS,
    "bone mass": MASS,
    "protein": PERCENT,
    "BMR": ENERGY,
    "body age": BARE,
    "fat mass": MASS,
    "water weight": MASS,
    "skeletal_muscle_mass_kg": MASS,
    "muscle rate": PERCENT,
    "protein mass": MASS,
    "fat free body weight": MASS,
    "fat_free_mass_kg": MASS,
    "body_water_kg": MASS,
    "height": BARE,
    "person": OTHER,
}
#: The first columns of the app's export.
FITDAYS_ORDER = tuple(KIND_OF)[:19]

#: Headers as they are written -> the function's word. "" = nothing for Garmin.
HEADERS: Mapping[str, Mapping[str, str]] = {
    "Fitdays": {word: word for word in FITDAYS_ORDER}
    | {
        "date": "time",
        "measured_at": "time",
        "fat-free mass": "fat_free_mass_kg",
        "height": "height",
        "person": "person",
    },
    "Fitdays in Portuguese": {
        "Data": "time",
        "Peso": "weight",
        "IMC": "BMI",
        "Gordura corporal": "body fat",
        "Gordura subcutânea": "subcutaneous fat",
        "Gordura visceral": "visceral fat",
        "Água corporal": "body water",
        "Massa Musc. Esquelética": "skeletal muscle",
        "Massa Muscular": "muscle mass",
        "Massa Óssea": "bone mass",
        "Proteína": "protein",
        "TMB": "BMR",
        "Idade Metabólica": "body age",
        "Massa gorda": "fat mass",
        "Teor de umidade": "water weight",
        "Músculo esquelético": "skeletal_muscle_mass_kg",
        "Taxa muscular": "muscle rate",
        "Massa protéica": "protein mass",
        "Massa Livre de Gordura": "fat free body weight",
    },
    "Garmin Connect": {"Skeletal Muscle Mass": "muscle mass", "Change": ""},
    "openScale": {
        "dateTime": "time",
        "fat": "body fat",
        "water": "body water",
        "muscle": "muscle rate",
        "bone": "bone mass",
        "lbm": "fat_free_mass_kg",
        "visceralFat": "visceral fat",
    },
    "Withings": {"Hydration": "body_water_kg", "Fat free mass": "fat_free_mass_kg", "Comments": ""},
}

ROWS_THAT_TELL = 3
_SUM_KG, _SHARE_KG = 0.11, 0.11
_NUMBER = re.compile(r"(\d+(?:[.,]\d+)?)\s*(?:\([^)]*\))?\s*(%|[^\W\d_]{0,5})", re.UNICODE)
_IN_BRACKETS = re.compile(r"^(.*?)\s*[(\[]\s*([^)\]]*?)\s*[)\]]\s*$")
_EPOCH = re.compile(r"\d{10}|\d{13}", re.ASCII)
_DATE = re.compile(r"(\d\d:\d\d(:\d\d)? )?\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}", re.ASCII)
_MASSES = ("kg", "lb", "lbs", "st", "g", "jin", "斤")


class Column(NamedTuple):
    header: str
    #: The word that the function is given for it; "" where it is left out.
    word: str
    #: How that is known, in words.
    known_by: str
    #: The unit of a bare number, from the header.
    unit: str = ""


class Look(NamedTuple):
    """What the cells of a column look like."""

    place: int
    kind: str
    numbers: Sequence[float | None]


def recognise(headers: Sequence[str], sample: Sequence[Sequence[str]], mapping: Mapping[str, str]) -> list[Column]:
    """The column of each header. `sample`: some rows. Raises `MappingInvalid`."""
    _check(mapping, headers)
    bare, units = zip(*(_parts(header) for header in headers), strict=True) if headers else ((), ())
    looks = [_look(i, [row[i] if i < len(row) else "" for row in sample]) for i in range(len(headers))]
    found: dict[int, tuple[str, str]] = {}
    for i, header in enumerate(headers):
        if header in mapping:
            found[i] = mapping[header], "your mapping"
        elif (word := _WORDS.get(normal(bare[i]))) is not None and word not in {w for w, _ in found.values() if w}:
            found[i] = word, "its header"
    taken = {word for word, _ in found.values()}
    if _is_in_fitdays_order(looks, found):
        for i, word in enumerate(FITDAYS_ORDER):
            if i not in found and word not in taken:
                found[i] = word, "its place"
    _reckon(looks, found)
    return [
        Column(header, *found.get(i, ("", "unknown")), unit=units[i].casefold()) for i, header in enumerate(headers)
    ]


_WORDS = {normal(header): word for words in HEADERS.values() for header, word in words.items()}


def _check(mapping: Mapping[str, str], headers: Sequence[str]) -> None:
    for header, word in mapping.items():
        if header not in headers:
            raise MappingInvalid(f"The mapping names a column {header!r}, but the file has: {', '.join(headers)}.")
        if word and word not in KIND_OF:
            raise MappingInvalid(
                f"The mapping says that {header!r} is {word!r}. Expected one of: {', '.join(KIND_OF)}; "
                'or "" to leave it out.'
            )


def _parts(header: str) -> tuple[str, str]:
    """ "Weight (kg)" -> "Weight", "kg"."""
    found = _IN_BRACKETS.match(header)
    return (found[1], found[2]) if found else (header, "")


def _look(index: int, cells: Sequence[str]) -> Look:
    kinds: dict[str, int] = {}
    numbers: list[float | None] = []
    for cell in cells:
        number = None
        if not is_missing(cell):
            kind, number = _read(cell)
            kinds[kind] = kinds.get(kind, 0) + 1
        numbers.append(number)
    return Look(index, max(kinds, key=lambda kind: kinds[kind], default=""), numbers)


def _read(cell: str) -> tuple[str, float | None]:
    if _EPOCH.fullmatch(cell):
        return TIME, None
    if found := _NUMBER.fullmatch(cell):
        unit = found[2].casefold()
        kind = MASS if unit in _MASSES else {"%": PERCENT, "kcal": ENERGY, "": BARE}.get(unit, OTHER)
        return kind, float(found[1].replace(",", "."))
    return (TIME if _DATE.match(cell) else OTHER), None


def _is_in_fitdays_order(looks: Sequence[Look], found: Mapping[int, tuple[str, str]]) -> bool:
    """Whether the first columns have the units of the app's export, and nothing that is known says otherwise."""
    if len(looks) < len(FITDAYS_ORDER):
        return False
    for i, word in enumerate(FITDAYS_ORDER):
        if i in found and found[i][1] == "its header" and found[i][0] != word:
            return False
        if looks[i].kind not in ("", KIND_OF[word]) and not (
            word in ("skeletal muscle", "skeletal_muscle_mass_kg", "BMR") and looks[i].kind in (MASS, PERCENT, BARE)
        ):
            return False
    at = {word: looks[i].numbers for i, word in enumerate(FITDAYS_ORDER)}
    return _hold(zip(at["fat mass"], at["fat free body weight"], at["weight"], strict=True))


def _reckon(looks: Sequence[Look], found: dict[int, tuple[str, str]]) -> None:
    """Recognise columns that are still unknown by the arithmetic between them."""
    place = {word: i for i, (word, _) in found.items() if word}
    left = [look for look in looks if look.place not in found]

    def take(words: Mapping[str, Look]) -> None:
        for word, look in words.items():
            found[look.place] = word, "the arithmetic"
            place[word] = look.place
            left.remove(look)

    if "weight" not in place:
        masses = [look for look in left if look.kind == MASS]
        heaviest = [a for a in masses if all(_exceeds(a, b) for b in masses if b is not a)]
        if len(masses) < 2 or len(heaviest) != 1:
            return
        take({"weight": heaviest[0]})
    weight = looks[place["weight"]]
    if not {"fat mass", "fat free body weight", "body fat"} & place.keys():
        triples = [
            (fat, free, share)
            for fat, free in permutations((look for look in left if look.kind == MASS), 2)
            if _sum(fat, free, weight)
            for share in left
            if share.kind == PERCENT and _share(share, weight, fat)
        ]
        if len(triples) != 1:
            return
        fat, free, share = triples[0]
        take({"fat mass": fat, "fat free body weight": free, "body fat": share})
    for whole, larger, smaller in (
        ("fat free body weight", "muscle mass", "bone mass"),
        ("muscle mass", "water weight", "protein mass"),
    ):
        if whole not in place or {larger, smaller} & place.keys():
            continue
        masses = [look for look in left if look.kind == MASS]
        pairs = [(a, b) for a, b in combinations(masses, 2) if _sum(a, b, looks[place[whole]])]
        if len(pairs) == 1:
            a, b = pairs[0]
            take({larger: a, smaller: b} if _exceeds(a, b) else {larger: b, smaller: a})


def _exceeds(a: Look, b: Look) -> bool:
    pairs = [(x, y) for x, y in zip(a.numbers, b.numbers, strict=True) if x is not None and y is not None]
    return len(pairs) >= ROWS_THAT_TELL and all(x > y for x, y in pairs)


def _sum(a: Look, b: Look, whole: Look) -> bool:
    return _hold(zip(a.numbers, b.numbers, whole.numbers, strict=True))


def _share(share: Look, whole: Look, part: Look) -> bool:
    known = [
        (s, w, p)
        for s, w, p in zip(share.numbers, whole.numbers, part.numbers, strict=True)
        if s is not None and w is not None and p is not None
    ]
    return len(known) >= ROWS_THAT_TELL and all(abs(w * s / 100 - p) <= _SHARE_KG for s, w, p in known)


def _hold(rows: Iterable[tuple[float | None, float | None, float | None]]) -> bool:
    """Whether a + b = c, in (nearly) every row that has all three: a swapped row or two is the row's own fault."""
    known = [(a, b, c) for a, b, c in rows if a is not None and b is not None and c is not None]
    good = sum(abs(a + b - c) <= _SUM_KG for a, b, c in known)
    return good >= ROWS_THAT_TELL and good >= 0.9 * len(known)
