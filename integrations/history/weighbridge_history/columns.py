"""Finds out what each column means, and records how it was recognized.

Rule: a header that the function understands is sent as it is in the file, with its cells. This module judges no
value and decides no unit: it only finds the columns whose headers the function does not know.

Strategy: the user's mapping file comes first, then the known headers, then the position. The Fitdays app writes its
headers in the phone's language but always in the same order, so the position counts if the units of the first 19
columns fit that order. Last comes the arithmetic between columns, which needs no language: fat and fat-free mass make
the weight, muscle and bone the fat-free mass, water and protein the muscle. A column of times is recognized by its
cells. A column that is still unknown is shown and left out, unless its header could say when, whose, in which unit or
whether: the function judges it.

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

from weighbridge.reading.dialects import (
    TIMES,
    Either,
    Meaning,
    Quantity,
    Role,
    Share,
    UnitOf,
    Unused,
    is_missing,
    normal,
)
from weighbridge.reading.keys import in_unit, meaning_of
from weighbridge.reading.quantities import unit_of
from weighbridge.reading.steering import questions_of

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

#: Header in an export that the function does not know -> its word, or "" if Garmin does not store it.
HEADERS: Mapping[str, Mapping[str, str]] = {
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
    "Fitdays in Portuguese, newer": {"Hora/Data": "time"},
    "Samsung Health": {
        "fat_free": "fat_free_mass_kg",
        "body_fat_mass": "fat_mass_kg",
        "total_body_water": "body_water_kg",
        "vfa_level": "",
    },
}
#: Words of one export alone, with another meaning there.
GARMIN = {"Skeletal Muscle Mass": "muscle mass", "Change": ""}

#: What the function reads from a header, as a word of this table.
_WORD_OF: Mapping[str | Share, str] = {
    "weight_kg": "weight",
    "bmi": "BMI",
    "body_fat_percent": "body fat",
    "subcutaneous_fat_percent": "subcutaneous fat",
    "visceral_fat_rating": "visceral fat",
    "body_water_percent": "body water",
    "basal_metabolic_rate_kcal": "BMR",
    "metabolic_age_years": "body age",
    "muscle_mass_kg": "muscle mass",
    "bone_mass_kg": "bone mass",
    "fat_mass_kg": "fat mass",
    "body_water_kg": "water weight",
    "fat_free_mass_kg": "fat_free_mass_kg",
    "height_cm": "height",
    Share.SKELETAL_MUSCLE: "skeletal muscle",
    Share.MUSCLE: "muscle rate",
}
_ROLES = {
    Role.ZONE: "time zone",
    Role.PERSON: "person",
    Role.PERSON_ID: "person",
    Role.NAME: "person or device",
    Role.WEIGHT_UNIT: "unit",
    **dict.fromkeys((Role.GOOD, Role.BAD, Role.PROBLEM, Role.MODE), "whether it counts"),
}
_TIMES = frozenset(role for rank in TIMES for role in rank)
NOT_STORED, UNKNOWN = "not stored by Garmin", "unknown"

ROWS_NEEDED = 3
_SUM_KG, _SHARE_KG = 0.11, 0.11
_NUMBER = re.compile(r"(\d+(?:[.,]\d+)?)\s*(?:\([^)]*\))?\s*(%|[^\W\d_]{0,5})", re.UNICODE)
_IN_BRACKETS = re.compile(r"(.*?)\s*[(\[（]\s*([^)\]）]*?)\s*[)\]）]\s*")
_AFTER_COMMA = re.compile(r"(.*?\S)\s*(?:,|/|\bin\b)\s*([^\s,/]+)\s*")
_EPOCH = re.compile(r"\d{10}|\d{13}", re.ASCII)
_DATE = re.compile(r"(\d\d:\d\d(:\d\d)? )?\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}", re.ASCII)
_MASSES = ("kg", "lb", "lbs", "st", "g", "jin", "斤")


class Column(NamedTuple):
    header: str
    #: The meaning; "" if the column is left out.
    word: str
    #: How the column was recognized, in words.
    recognized_by: str
    #: The unit of a bare number, from the header or from the user.
    unit: str = ""
    #: The key for the function: the header without its unit, if the function knows it. "": the column is left out.
    key: str = ""

    @property
    def role(self) -> Role | None:
        """The role of the key, such as that of a time."""
        meaning = meaning_of(self.key)
        return meaning if isinstance(meaning, Role) else None

    @property
    def is_time(self) -> bool:
        return self.role in _TIMES

    @property
    def rank(self) -> int:
        """Of a time: it counts if there is none of a lower rank."""
        return next(number for number, roles in enumerate(TIMES) if self.role in roles)


class Profile(NamedTuple):
    """The position of a column, and what its cells contain."""

    place: int
    kind: str
    numbers: Sequence[float | None]


def recognize(
    headers: Sequence[str],
    sample: Sequence[Sequence[str]],
    mapping: Mapping[str, str],
    *,
    units: Mapping[str, str] | None = None,
    own: Mapping[str, str] | None = None,
) -> list[Column]:
    """The column of each header. `sample`: some rows. `units`: header or word -> unit, from the user. `own`: words of
    this export alone. Raises `MappingInvalid`.
    """
    _check(mapping, headers)
    profiles = [_profile(i, [row[i] if i < len(row) else "" for row in sample]) for i in range(len(headers))]
    columns = [
        _by_header(header, mapping, {normal(name): word for name, word in (own or {}).items()}) for header in headers
    ]
    columns = _without_repeated(columns)
    found = {i: (c.word, c.recognized_by) for i, c in enumerate(columns) if c.recognized_by != UNKNOWN}
    taken = {word for word, _ in found.values()}
    if _is_in_fitdays_order(profiles, found):
        for i, word in enumerate(FITDAYS_ORDER):
            if i not in found and word not in taken:
                found[i] = word, "its position"
    _use_arithmetic(profiles, found)
    if not any(word == "time" for word, _ in found.values()):
        times = [profile.place for profile in profiles if profile.kind == TIME and profile.place not in found]
        found |= {times[0]: ("time", "its cells")} if len(times) == 1 else {}
    for i, (word, recognized_by) in found.items():
        if columns[i].recognized_by == UNKNOWN:
            columns[i] = columns[i]._replace(word=word, recognized_by=recognized_by, key=word)
    return _in_units(columns, units or {})


def is_header(cells: Sequence[str]) -> bool:
    """Whether these cells name a time and a weight."""
    words = {_by_header(cell, {}, {}).word for cell in cells if cell}
    return {"time", "weight"} <= words


def is_values(cells: Sequence[str]) -> bool:
    """Whether these cells are values, and no headers: a date and a number."""
    kinds = {_read(cell)[0] for cell in cells if not is_missing(cell)}
    return TIME in kinds and bool(kinds & {MASS, PERCENT, BARE})


def _by_header(header: str, mapping: Mapping[str, str], own: Mapping[str, str]) -> Column:
    bare, unit = parts_of(header)
    if header in mapping:
        word = mapping[header]
        return Column(header, word, "your mapping", unit, word)
    name = normal(bare)
    foreign = {**_FOREIGN, **own}
    if name in foreign:
        return Column(header, foreign[name], "its header" if foreign[name] else NOT_STORED, unit, foreign[name])
    for key, known in ((bare, unit), (header, "")):
        if (meaning := meaning_of(key)) is None:
            continue
        if isinstance(meaning, Unused):
            word = _KNOWN.get(name, "")
            return Column(header, word, "its header" if word else NOT_STORED, known, key if word else "")
        return Column(header, _KNOWN.get(name) or _word_of(meaning, known, key), "its header", known, key)
    return Column(header, "", UNKNOWN, unit, header if header and questions_of(header) else "")


def _word_of(meaning: Meaning, unit: str, key: str) -> str:
    if isinstance(meaning, Role):
        return "time" if meaning in _TIMES else _ROLES.get(meaning, "")
    if isinstance(meaning, UnitOf):
        return "unit"
    if isinstance(meaning, Either) and (unit_is_known := in_unit(meaning, unit)):
        meaning = unit_is_known
    if isinstance(meaning, Quantity):
        return _WORD_OF.get(meaning.name) or (meaning.name if isinstance(meaning.name, str) else key)
    return f"{key}, kg or %"


_FOREIGN = {normal(header): word for words in HEADERS.values() for header, word in words.items()}
_KNOWN = {normal(word): word for word in KIND_OF if word not in ("time", "person")}


def _without_repeated(columns: Sequence[Column]) -> list[Column]:
    """The columns, without a number that another one has too: in pounds it would differ by its rounding.

    Those of the mapping come before the others. Raises `MappingInvalid` if it names two columns for one number.
    """
    first: dict[str, str] = {}
    for column in columns:
        if column.recognized_by == "your mapping" and _is_number(column):
            if column.word in first:
                raise MappingInvalid(
                    f"The mapping gives two columns the meaning {column.word!r}: {first[column.word]!r} and "
                    f"{column.header!r}."
                )
            first[column.word] = column.header
    kept = []
    for column in columns:
        if column.recognized_by == "its header" and _is_number(column):
            if column.word in first:
                kept.append(Column(column.header, "", f"the same as {first[column.word]}"))
                continue
            first[column.word] = column.header
        kept.append(column)
    return kept


def _is_number(column: Column) -> bool:
    return bool(column.key) and isinstance(meaning_of(column.key), Quantity | Either | Unused)


def _in_units(columns: Sequence[Column], units: Mapping[str, str]) -> list[Column]:
    """The columns with the units that the user gives. Raises `MappingInvalid`."""
    left = dict(units)
    found = []
    for column in columns:
        names = {normal(name) for name in (column.header, column.key, column.word) if name}
        for name in [name for name in units if normal(name) in names and column.key]:
            left.pop(name, None)
            meaning = meaning_of(column.key)
            if meaning is not None and in_unit(meaning, units[name]) is None:
                raise MappingInvalid(f"The column {column.header!r} cannot be in {units[name]}.")
            column = column._replace(
                unit=units[name], word=_word_of(meaning, units[name], column.key) if meaning else column.word
            )
        found.append(column)
    if left:
        raise MappingInvalid(
            f"A unit is given for {next(iter(left))!r}, but the columns are: {', '.join(c.header for c in columns)}."
        )
    return found


def _check(mapping: Mapping[str, str], headers: Sequence[str]) -> None:
    for header, word in mapping.items():
        if header not in headers:
            raise MappingInvalid(
                f"The mapping names a column {header!r}, but the columns are: {', '.join(headers)}. "
                "Is it the mapping of another file?"
            )
        if word and word not in KIND_OF and meaning_of(word) is None:
            raise MappingInvalid(
                f"The mapping gives the column {header!r} the meaning {word!r}. "
                f'Expected one of: {", ".join(KIND_OF)}; or "" to leave the column out.'
            )


def parts_of(header: str) -> tuple[str, str]:
    """The name and the unit of a header such as "Weight (kg)" or "Weight, kg"."""
    for pattern in (_IN_BRACKETS, _AFTER_COMMA):
        if (found := pattern.fullmatch(header)) and found[1] and (unit := unit_of(found[2])):
            return found[1], unit
    return header, ""


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
