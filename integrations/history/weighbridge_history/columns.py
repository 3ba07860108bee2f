"""Finds out what each column means, and records how it was recognized.

Rule: a header that the function understands is sent as it is in the file, with its cells. This module judges no
value and decides no unit: it only finds the columns whose headers the function does not know.

Strategy: the user's mapping file comes first. Then the words of the header, in any language of the function; then the
unit in the header and the unit in the cells, which decide between kg and %; then the position; then the arithmetic
between columns, which needs no language: fat and fat-free mass make the weight, muscle and bone the fat-free mass,
water and protein the muscle. The Fitdays app writes its headers in the phone's language but always in one of two
orders, so the position counts if the units of the first columns fit that order. A column of times is recognized by its
cells. A column that is still unknown is shown and left out, unless its header could say when, whose, in which unit or
whether: the function judges it.

The unit of a weight without one is that of an app that writes no other, or follows from the arithmetic: a mass with its
unit and the share of it, or height and BMI. Otherwise `read` asks.

Facts (from real exports of the app): 34 columns, 19 values and then body segments; or 43 columns, with the heart rate
and the cardiac index at 6 and 7, the obesity at 21, and six more values before the segments. weight × fat % = fat mass
within 0.05 kg, sums within 0.1 kg. openScale 2 exports kg whatever the user chose (its author, issues 920 and 1148);
openScale 3 exports the user's unit. SmartScaleConnect has kg (`pkg/core/weight.go`).

Weakness: an app of a language that is not known depends on the position and the arithmetic.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations, permutations
from typing import NamedTuple

from weighbridge.reading.dialects import (
    BARE_WEIGHT,
    FOREIGN,
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
    spellings,
)
from weighbridge.reading.keys import in_unit, meaning_of
from weighbridge.reading.languages import HEADERS_ONLY, LANGUAGES
from weighbridge.reading.quantities import KG_PER, base_unit, unit_of
from weighbridge.reading.steering import questions_of

from .errors import FileFault, MappingInvalid

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
#: The first 19 columns of the app's export, and the first 22 of the one with 43; "" is not stored by Garmin.
FITDAYS_ORDER = tuple(KIND_OF)[:19]
FITDAYS_ORDER_43 = (*FITDAYS_ORDER[:5], "", "", *FITDAYS_ORDER[5:18], "", FITDAYS_ORDER[18])

#: Header of one app that means something else for the function, or nothing -> its word, or "" if Garmin has no place.
HEADERS: Mapping[str, Mapping[str, str]] = {
    "Fitdays": {"target weight": "", "weight control": "", "fat control": "", "muscle control": ""},
    "Samsung Health": {
        "fat_free": "fat_free_mass_kg",
        "body_fat_mass": "fat_mass_kg",
        "total_body_water": "body_water_kg",
        "vfa_level": "",
    },
}
#: Words of one export alone, with another meaning there.
GARMIN = {"Skeletal Muscle Mass": "muscle mass", "Change": ""}
#: Apps whose exports have no unit and are in kg, and headers that only they have together.
IN_KG: Mapping[str, frozenset[str]] = {
    "Zepp Life": frozenset(("fatrate", "bodywaterrate", "bonemass")),
    "openScale 2": frozenset(("datetime", "lbm", "visceralfat")),
    "SmartScaleConnect": frozenset(("bodyfat", "bonemass", "physiquerating", "user", "source")),
    "Samsung Health": frozenset(("starttime", "createtime", "pkgname")),
}

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
    "fat_free_mass_kg": "fat free body weight",
    "height_cm": "height",
    Share.SKELETAL_MUSCLE: "skeletal muscle",
    Share.MUSCLE: "muscle rate",
    Share.BONE: "bone share",
    Share.FAT_FREE: "fat-free share",
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
#: How a column was recognized; more words may follow.
MAPPING, HEADER = "your mapping", "its header"

ROWS_NEEDED = 3
_SUM_KG, _SHARE_KG = 0.11, 0.11
_NUMBER = re.compile(r"(\d+(?:[.,]\d+)?)\s*(?:\([^)]*\))?\s*(%|[^\W\d_]{0,5})", re.UNICODE)
_IN_BRACKETS = re.compile(r"(.*?)\s*[(\[（]\s*([^)\]）]*?)\s*[)\]）]\s*")
_AFTER_COMMA = re.compile(r"(.*?\S)\s*(?:,|/|\bin\b)\s*([^\s,/]+)\s*")
_EPOCH = re.compile(r"\d{10}|\d{13}", re.ASCII)
_DATE = re.compile(r"(\d\d:\d\d(:\d\d)? )?\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}", re.ASCII)
_KINDS = {"kg": MASS, "%": PERCENT, "kcal": ENERGY, "": BARE}
#: Units of a weight differ by more than this share from each other, and columns that were rounded by less.
_ROUNDED = 0.04


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
    #: The unit of most numbers, from their cells or else from the header.
    unit: str = ""


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
    profiles = [
        _profile(i, [row[i] if i < len(row) else "" for row in sample], parts_of(header)[1])
        for i, header in enumerate(headers)
    ]
    columns = [
        _by_header(header, mapping, {normal(name): word for name, word in (own or {}).items()}) for header in headers
    ]
    columns = [_by_cells(column, profile) for column, profile in zip(columns, profiles, strict=True)]
    columns = _with_keys(_without_repeated(_in_languages(columns)))
    found = {i: (c.word, c.recognized_by) for i, c in enumerate(columns) if c.recognized_by != UNKNOWN}
    taken = {word for word, _ in found.values()}
    for order in (FITDAYS_ORDER, FITDAYS_ORDER_43):
        if _is_in_order(order, profiles, found):
            for i, word in enumerate(order):
                if word and i not in found and word not in taken:
                    found[i] = word, "its position"
            break
    _use_arithmetic(profiles, found)
    if not any(word == "time" for word, _ in found.values()):
        times = [profile.place for profile in profiles if profile.kind == TIME and profile.place not in found]
        found |= {times[0]: ("time", "its cells")} if len(times) == 1 else {}
    for i, (word, recognized_by) in found.items():
        if columns[i].recognized_by == UNKNOWN:
            columns[i] = columns[i]._replace(word=word, recognized_by=recognized_by, key=word)
    columns = _in_units(columns, units or {})
    return _with_unit_of_weight(columns, profiles)


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
        return Column(header, word, MAPPING, unit, word)
    name = normal(bare)
    only_here = _HEADERS_ONLY.get(name, "")
    english = FOREIGN.get(name) or only_here or bare
    renamed = own[normal(english)] if normal(english) in own else _OF_APPS.get(name)
    if renamed is not None:
        return Column(header, renamed, HEADER if renamed else NOT_STORED, unit, renamed)
    for key, known in ((only_here or bare, unit), (header, "")):
        if (meaning := meaning_of(key)) is None:
            continue
        if isinstance(meaning, Unused):
            word = _KNOWN.get(normal(english), "")
            return Column(header, word, HEADER if word else NOT_STORED, known, key if word else "")
        by = f"{HEADER} and the unit in it" if known and isinstance(meaning, Either) else HEADER
        return Column(header, _word_of(meaning, known, english), by, known, key)
    return Column(header, "", UNKNOWN, unit, header if header and questions_of(header) else "")


def _by_cells(column: Column, profile: Profile) -> Column:
    """The column with the meaning that the unit in its cells gives it."""
    meaning = meaning_of(column.key)
    if not column.recognized_by.startswith(HEADER) or column.unit or not isinstance(meaning, Quantity | Either):
        return column
    english = FOREIGN.get(normal(column.header), column.header)
    word = _word_of(meaning, profile.unit, english)
    if word != column.word:
        return column._replace(word=word, recognized_by=f"{HEADER} and the unit in its cells")
    if isinstance(meaning, Either):
        return column._replace(recognized_by=f"{HEADER}; the other values decide its unit")
    return column


def _word_of(meaning: Meaning, unit: str, english: str) -> str:
    """What a number in this unit is, in the words of `KIND_OF` if it has one."""
    if isinstance(meaning, Role):
        return "time" if meaning in _TIMES else _ROLES.get(meaning, "")
    if isinstance(meaning, UnitOf):
        return "unit"
    if isinstance(meaning, Unused):
        return ""
    said = in_unit(meaning, unit) if unit else None
    if isinstance(meaning, Quantity) and (said is None or said.name == meaning.name):
        return _WORD_OF.get(meaning.name) or str(meaning.name)
    return f"{english}, kg or %" if said is None else _WORD_OF.get(said.name) or str(said.name)


_OF_APPS = {normal(header): word for words in HEADERS.values() for header, word in words.items()}
_KNOWN = {normal(word): word for word in KIND_OF if word not in ("time", "person")}
_HEADERS_ONLY = {
    name: english
    for table in HEADERS_ONLY.values()
    for english, words in table.items()
    for word in words.split(", ")
    for name in spellings(word)
}
#: A word -> the languages that have it.
_LANGUAGES_OF: dict[str, list[str]] = {}
for _tables in (LANGUAGES, HEADERS_ONLY):
    for _language, _table in _tables.items():
        for _word in ", ".join(_table.values()).split(", "):
            for _name in spellings(_word):
                _LANGUAGES_OF.setdefault(_name, []).append(_language)


def _in_languages(columns: Sequence[Column]) -> list[Column]:
    """The columns, each with its language: of those that have its word, the one with most words in the file."""
    languages = [
        _LANGUAGES_OF.get(normal(parts_of(column.header)[0]), _LANGUAGES_OF.get(normal(column.header), []))
        if column.recognized_by.startswith(HEADER)
        else []
        for column in columns
    ]
    count = Counter(language for each in languages for language in each)
    return [
        column._replace(
            recognized_by=column.recognized_by.replace(HEADER, f"{HEADER} ({max(each, key=count.__getitem__)})", 1)
        )
        if each
        else column
        for column, each in zip(columns, languages, strict=True)
    ]


def _with_keys(columns: Sequence[Column]) -> list[Column]:
    """The columns with different keys. Two headers may differ in the unit alone, or two cells below one header."""
    taken: set[str] = set()
    found = []
    for column in columns:
        if column.key in taken and not column.is_time and meaning_of(column.header) is not None:
            column = column._replace(key=column.header, unit="")
        if column.key in taken and not column.is_time:
            column = column._replace(key=column.word)
        taken |= {column.key} if column.key else set()
        found.append(column)
    return found


def _without_repeated(columns: Sequence[Column]) -> list[Column]:
    """The columns, without a number that another one has too: in pounds it would differ by its rounding.

    Those of the mapping come before the others. Raises `MappingInvalid` if it names two columns for one number.
    """
    first: dict[str, str] = {}
    for column in columns:
        if column.recognized_by == MAPPING and _is_number(column):
            if column.word in first:
                two = {"first": first[column.word], "second": column.header}
                raise MappingInvalid(FileFault.MEANING_TWICE(meaning=column.word, **two))
            first[column.word] = column.header
    kept = []
    for column in columns:
        if column.recognized_by.startswith(HEADER) and _is_number(column):
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
                raise MappingInvalid(FileFault.UNIT_NOT_OF_COLUMN(header=column.header, unit=units[name]))
            column = column._replace(
                unit=units[name], word=_word_of(meaning, units[name], column.key) if meaning else column.word
            )
        found.append(column)
    if left:
        headers = ", ".join(column.header for column in columns)
        raise MappingInvalid(FileFault.UNIT_OF_NO_COLUMN(header=next(iter(left)), headers=headers))
    return found


def _check(mapping: Mapping[str, str], headers: Sequence[str]) -> None:
    for header, word in mapping.items():
        if header not in headers:
            raise MappingInvalid(FileFault.COLUMN_UNKNOWN(header=header, headers=", ".join(headers)))
        if word and word not in KIND_OF and meaning_of(word) is None:
            meanings = ", ".join(KIND_OF)
            raise MappingInvalid(FileFault.MEANING_UNKNOWN(header=header, meaning=word, meanings=meanings))


def parts_of(header: str) -> tuple[str, str]:
    """The name and the unit of a header such as "Weight (kg)" or "Weight, kg"."""
    for pattern in (_IN_BRACKETS, _AFTER_COMMA):
        if (found := pattern.fullmatch(header)) and found[1] and (unit := unit_of(found[2])):
            return found[1], unit
    return header, ""


def _with_unit_of_weight(columns: Sequence[Column], profiles: Sequence[Profile]) -> list[Column]:
    """The columns, the weight with its unit if it has none in the file and the file still shows it."""
    found = list(columns)
    if any(column.role is Role.WEIGHT_UNIT for column in columns):
        return found
    names = {normal(column.header) for column in columns}
    app = next((app for app, headers in IN_KG.items() if headers <= names), "")
    for i, column in enumerate(columns):
        if column.unit or profiles[i].kind != BARE or meaning_of(column.key) is not BARE_WEIGHT:
            continue
        if app:
            found[i] = column._replace(unit="kg", recognized_by=f"{column.recognized_by}; {app} writes kg")
        elif unit := _unit_by_arithmetic(profiles[i], columns, profiles):
            found[i] = column._replace(unit=unit, recognized_by=f"{column.recognized_by}; its unit by the arithmetic")
    return found


def _unit_by_arithmetic(weight: Profile, columns: Sequence[Column], profiles: Sequence[Profile]) -> str:
    """The unit in which the weight fits the other columns, or nothing."""
    at = {column.word: profile for column, profile in zip(columns, profiles, strict=True) if column.key}

    def in_kg(word: str) -> Sequence[float | None]:
        profile = at.get(word)
        if profile is None or profile.unit not in KG_PER:
            return ()
        return [None if number is None else number * float(KG_PER[profile.unit]) for number in profile.numbers]

    def of(word: str) -> Sequence[float | None]:
        return at[word].numbers if word in at else ()

    fat, free = in_kg("fat mass"), in_kg("fat free body weight") or in_kg("fat_free_mass_kg")
    expected = [
        *_each(lambda part, whole: part + whole, fat, free),
        *_each(lambda part, percent: part / percent * 100, fat, of("body fat")),
        *_each(lambda cm, bmi: bmi * (cm if cm < 3 else cm / 100) ** 2, of("height"), of("BMI")),
    ]
    pairs = [(kg, weight.numbers[row]) for row, kg in expected]
    ratios = [kg / number for kg, number in pairs if number]
    enough = max(ROWS_NEEDED, 0.9 * len(ratios))
    units = [
        unit
        for unit in ("kg", "lb", "st", "jin")
        if sum(abs(ratio / float(KG_PER[unit]) - 1) < _ROUNDED for ratio in ratios) >= enough
    ]
    return units[0] if len(units) == 1 else ""


def _each(
    calculate: Callable[[float, float], float], some: Sequence[float | None], others: Sequence[float | None]
) -> Iterator[tuple[int, float]]:
    """The row and the result of each pair of numbers."""
    for row, (a, b) in enumerate(zip(some, others, strict=False)):
        if a and b:
            yield row, calculate(a, b)


def _profile(index: int, cells: Sequence[str], unit: str) -> Profile:
    """`unit`: of the header."""
    kinds = Counter[tuple[str, str]]()
    numbers: list[float | None] = []
    for cell in cells:
        number = None
        if not is_missing(cell):
            kind, number, own = _read(cell)
            kinds[kind, own] += 1
        numbers.append(number)
    kind, own = max(kinds, key=lambda each: kinds[each], default=("", ""))
    if kind == BARE and unit:
        kind, own = _KINDS.get(base_unit(unit), OTHER), unit
    return Profile(index, kind, numbers, own)


def _read(cell: str) -> tuple[str, float | None, str]:
    """The kind, the number and the unit of a cell."""
    if _EPOCH.fullmatch(cell):
        return TIME, None, ""
    if found := _NUMBER.fullmatch(cell):
        unit = unit_of(found[2]) if found[2] else ""
        kind = OTHER if unit is None else _KINDS.get(base_unit(unit), OTHER)
        return kind, float(found[1].replace(",", ".")), unit or ""
    return (TIME if _DATE.match(cell) else OTHER), None, ""


def _is_in_order(order: Sequence[str], profiles: Sequence[Profile], found: Mapping[int, tuple[str, str]]) -> bool:
    """Whether the first columns have the units of this export, and no known header contradicts the order."""
    if len(profiles) < len(order):
        return False
    for i, word in enumerate(order):
        if i in found and found[i][1].startswith(HEADER) and found[i][0] != word:
            return False
        if (
            word
            and profiles[i].kind not in ("", KIND_OF[word])
            and not (
                word in ("skeletal muscle", "skeletal_muscle_mass_kg", "BMR")
                and profiles[i].kind in (MASS, PERCENT, BARE)
            )
        ):
            return False
    at = {word: profiles[i].numbers for i, word in enumerate(order)}
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
