"""Finds out what each column means, and records how it was recognized.

Strategy: the user's mapping file comes first, then the known headers, then the position. The Fitdays app writes its
headers in the phone's language but always in the same order, so the position counts if the units of the first 19
columns fit that order. Last comes the arithmetic between columns, which needs no language: fat and fat-free mass make
the weight, muscle and bone the fat-free mass, water and protein the muscle. A column that is still unknown is shown
and left out.

Facts (from a real export of the app): 43 columns; 19 values, then body segments; weight × fat % = fat mass within
0.05 kg, sums within 0.1 kg.

Weakness: of the app's own headers, only the Portuguese ones are known from a real export. Other languages depend on the
position and the arithmetic.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, permutations
from typing import NamedTuple

from weighbridge.reading.dialects import is_missing, normal

from .errors import MappingInvalid

MASS, PERCENT, ENERGY, BARE, TIME, OTHER = "mass", "%", "kcal", "number", "time", "text"

#: The words sent to the function, mostly those of the Fitdays app, and what each is measured in.
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
#: The first 19 columns of the app's export.
FITDAYS_ORDER = tuple(KIND_OF)[:19]

#: Header in an export -> the function's word, or "" if Garmin does not store it.
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

ROWS_NEEDED = 3
_SUM_KG, _SHARE_KG = 0.11, 0.11
_NUMBER = re.compile(r"(\d+(?:[.,]\d+)?)\s*(?:\([^)]*\))?\s*(%|[^\W\d_]{0,5})", re.UNICODE)
_IN_BRACKETS = re.compile(r"^(.*?)\s*[(\[]\s*([^)\]]*?)\s*[)\]]\s*$")
_EPOCH = re.compile(r"\d{10}|\d{13}", re.ASCII)
_DATE = re.compile(r"(\d\d:\d\d(:\d\d)? )?\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}", re.ASCII)
_MASSES = ("kg", "lb", "lbs", "st", "g", "jin", "斤")


class Column(NamedTuple):
    header: str
    #: The word sent to the function; "" if the column is left out.
    word: str
    #: How the column was recognized, in words.
    recognized_by: str
    #: The unit of a bare number, from the header.
    unit: str = ""


class Profile(NamedTuple):
    """The position of a column, and what its cells contain."""

    place: int
    kind: str
    numbers: Sequence[float | None]


def recognize(headers: Sequence[str], sample: Sequence[Sequence[str]], mapping: Mapping[str, str]) -> list[Column]:
    """The column of each header. `sample`: some rows. Raises `MappingInvalid`."""
    _check(mapping, headers)
    bare, units = zip(*(_parts(header) for header in headers), strict=True) if headers else ((), ())
    profiles = [_profile(i, [row[i] if i < len(row) else "" for row in sample]) for i in range(len(headers))]
    found: dict[int, tuple[str, str]] = {}
    for i, header in enumerate(headers):
        if header in mapping:
            found[i] = mapping[header], "your mapping"
        elif (word := _WORDS.get(normal(bare[i]))) is not None and word not in {w for w, _ in found.values() if w}:
            found[i] = word, "its header"
    taken = {word for word, _ in found.values()}
    if _is_in_fitdays_order(profiles, found):
        for i, word in enumerate(FITDAYS_ORDER):
            if i not in found and word not in taken:
                found[i] = word, "its position"
    _use_arithmetic(profiles, found)
    return [
        Column(header, *found.get(i, ("", "unknown")), unit=units[i].casefold()) for i, header in enumerate(headers)
    ]


_WORDS = {normal(header): word for words in HEADERS.values() for header, word in words.items()}


def _check(mapping: Mapping[str, str], headers: Sequence[str]) -> None:
    for header, word in mapping.items():
        if header not in headers:
            raise MappingInvalid(f"The mapping names a column {header!r}, but the columns are: {', '.join(headers)}.")
        if word and word not in KIND_OF:
            raise MappingInvalid(
                f"The mapping gives the column {header!r} the meaning {word!r}. "
                f'Expected one of: {", ".join(KIND_OF)}; or "" to leave the column out.'
            )


def _parts(header: str) -> tuple[str, str]:
    """The name and the unit of a header such as "Weight (kg)"."""
    found = _IN_BRACKETS.match(header)
    return (found[1], found[2]) if found else (header, "")


def _profile(index: int, cells: Sequence[str]) -> Profile:
    kinds: dict[str, int] = {}
    numbers: list[float | None] = []
    for cell in cells:
        number = None
        if not is_missing(cell):
            kind, number = _read(cell)
            kinds[kind] = kinds.get(kind, 0) + 1
        numbers.append(number)
    return Profile(index, max(kinds, key=lambda kind: kinds[kind], default=""), numbers)


def _read(cell: str) -> tuple[str, float | None]:
    if _EPOCH.fullmatch(cell):
        return TIME, None
    if found := _NUMBER.fullmatch(cell):
        unit = found[2].casefold()
        kind = MASS if unit in _MASSES else {"%": PERCENT, "kcal": ENERGY, "": BARE}.get(unit, OTHER)
        return kind, float(found[1].replace(",", "."))
    return (TIME if _DATE.match(cell) else OTHER), None


def _is_in_fitdays_order(profiles: Sequence[Profile], found: Mapping[int, tuple[str, str]]) -> bool:
    """Whether the first columns have the units of the app's export, and no known header contradicts the order."""
    if len(profiles) < len(FITDAYS_ORDER):
        return False
    for i, word in enumerate(FITDAYS_ORDER):
        if i in found and found[i][1] == "its header" and found[i][0] != word:
            return False
        if profiles[i].kind not in ("", KIND_OF[word]) and not (
            word in ("skeletal muscle", "skeletal_muscle_mass_kg", "BMR") and profiles[i].kind in (MASS, PERCENT, BARE)
        ):
            return False
    at = {word: profiles[i].numbers for i, word in enumerate(FITDAYS_ORDER)}
    return _adds_up(zip(at["fat mass"], at["fat free body weight"], at["weight"], strict=True))


def _use_arithmetic(profiles: Sequence[Profile], found: dict[int, tuple[str, str]]) -> None:
    """Recognize columns that are still unknown by the arithmetic between them."""
    place = {word: i for i, (word, _) in found.items() if word}
    left = [profile for profile in profiles if profile.place not in found]

    def take(words: Mapping[str, Profile]) -> None:
        for word, profile in words.items():
            found[profile.place] = word, "the arithmetic"
            place[word] = profile.place
            left.remove(profile)

    if "weight" not in place:
        masses = [profile for profile in left if profile.kind == MASS]
        heaviest = [a for a in masses if all(_exceeds(a, b) for b in masses if b is not a)]
        if len(masses) < 2 or len(heaviest) != 1:
            return
        take({"weight": heaviest[0]})
    weight = profiles[place["weight"]]
    if not {"fat mass", "fat free body weight", "body fat"} & place.keys():
        triples = [
            (fat, free, share)
            for fat, free in permutations((profile for profile in left if profile.kind == MASS), 2)
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
        masses = [profile for profile in left if profile.kind == MASS]
        pairs = [(a, b) for a, b in combinations(masses, 2) if _sum(a, b, profiles[place[whole]])]
        if len(pairs) == 1:
            a, b = pairs[0]
            take({larger: a, smaller: b} if _exceeds(a, b) else {larger: b, smaller: a})


def _exceeds(a: Profile, b: Profile) -> bool:
    pairs = [(x, y) for x, y in zip(a.numbers, b.numbers, strict=True) if x is not None and y is not None]
    return len(pairs) >= ROWS_NEEDED and all(x > y for x, y in pairs)


def _sum(a: Profile, b: Profile, whole: Profile) -> bool:
    return _adds_up(zip(a.numbers, b.numbers, whole.numbers, strict=True))


def _share(share: Profile, whole: Profile, part: Profile) -> bool:
    known = [
        (s, w, p)
        for s, w, p in zip(share.numbers, whole.numbers, part.numbers, strict=True)
        if s is not None and w is not None and p is not None
    ]
    return len(known) >= ROWS_NEEDED and all(abs(w * s / 100 - p) <= _SHARE_KG for s, w, p in known)


def _adds_up(rows: Iterable[tuple[float | None, float | None, float | None]]) -> bool:
    """Whether a + b = c in at least nine of ten rows that have all three. A few rows may be wrong by themselves."""
    known = [(a, b, c) for a, b, c in rows if a is not None and b is not None and c is not None]
    good = sum(abs(a + b - c) <= _SUM_KG for a, b, c in known)
    return good >= ROWS_NEEDED and good >= 0.9 * len(known)
