"""A value with its unit -> a number in the unit of the reading. Pure.

Rule: what could be two numbers is refused and not guessed. A number may have a unit, and a comma or a point.

Facts: 1 lb = 0.45359237 kg, 1 st = 14 lb, 1 jin = 0.5 kg. The names of other languages are those of Unicode CLDR
(mass-kilogram, -gram, -pound, -stone: long, short and narrow), and what devices and people write besides.

Weakness: not every language is there, and a unit before its number is not understood. Both are refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache

from ..reasons import Reason, Why
from .characters import fold
from .dialects import Quantity, Share, is_missing, normal

LONGEST_TEXT = 100


class NotUnderstood(Exception):
    """`reason` says what was expected."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


class NotMeasured(NotUnderstood):
    """An object with a unit and without a value."""


_POUND_KG = Decimal("0.45359237")  # international avoirdupois pound, exactly
KG_PER = {"kg": Decimal(1), "g": Decimal("0.001"), "lb": _POUND_KG, "st": 14 * _POUND_KG, "jin": Decimal("0.5")}
_CM_PER = {"cm": Decimal(1), "m": Decimal(100), "mm": Decimal("0.1"), "in": Decimal("2.54"), "ft": Decimal("30.48")}
#: Unit -> the unit of calculation, and how many of it.
_FACTORS = {unit: ("kg", size) for unit, size in KG_PER.items()} | {
    unit: ("cm", size) for unit, size in _CM_PER.items()
}

#: How people and devices write units; letters are in lower case. A unit may end with a point.
_NAMES: Mapping[str, str] = {
    "kg": """
        kg kgs kilo kilos kilogram kilograms kilogramm kilogramme kilogrammes kilograma kilogramy kilogramu kilogramů
        kilogramów kilogramov kilogrami kilogramma kilogrammaa kilogrammi kilogramai kilogramas kilogramo kilogramos
        kilogramų kilograme kilogramë kilôgam kílógramm kílógrömm quilo quilos quilograma quilogramas quilogram
        quilograms quilogramo quilogramos chilo chili chilogrammo chilogrammi kiloqram kq de_kilograme
        кг килограмм килограмма килограммов килограмы килограммы килограм килограма килограми кілограм кілограма
        кілограми кілограмів кілаграм кілаграма кілаграмаў кілаграмы кило
        χιλιόγραμμο χιλιόγραμμα κιλό κιλά χλγ კგ კილოგრამი կգ կիլոգրամ
        كجم كغم كغ كج كيلو كيلوغرام كيلوجرام کیلوگرم کیلو کلوگرام کلو_گرام ק״ג ק"ג קילו קילוגרם
        किग्रा कि॰ग्रा॰ कि.ग्रा. किलो किलोग्राम किलोग्रॅम किग्रॅ কেজি কিলোগ্রাম கிலோகிராம் கிலோகிராம்கள் కి.గ్రా కిలోగ్రాము కిలోగ్రాములు
        કિગ્રા કિલોગ્રામ ಕೆಜಿ ಕಿಲೋಗ್ರಾಂ ಕಿಲೋಗ್ರಾಂಗಳು കിലോഗ്രാം ਕਿ.ਗ੍ਰਾ. ਕਿਲੋਗ੍ਰਾਮ
        กก กิโล กิโลกรัม ກິໂລ ກລ ກິໂລກຣາມ ကီလိုဂရမ် គីឡូក្រាម
        公斤 千克 キロ キログラム 킬로 킬로그램""",
    "g": """
        g gram grams gramm gramme grammes grama gramas gramy gramu gramů gramów gramov grami grammo grammi gramma
        grammaa gramai gramas gramo gramos gramų grame de_grame gramë gam grömm qram
        г гр грамм грамма граммов граммы грам грама грами грамів грамаў грамы γρ γραμμάριο γραμμάρια გ გრამი գ գրամ
        غ غم جم جرام غرام غرامات غرامًا گرم گرام גרם גר׳ ग्रा ग्रा॰ ग्राम ग्रॅम ग्रॅ গ্রাম கிராம் கிராம்கள் గ్రా గ్రాము గ్రాములు
        ગ્રા ગ્રામ ಗ್ರಾ ಗ್ರಾಂ ಗ್ರಾಂಗಳು ਗ੍ਰਾ ਗ੍ਰਾਮ กรัม ก ກຣາມ ກຼ ဂရမ် ក្រាម 克 公克 グラム 그램""",
    "lb": """
        lb lbs pound pounds funt funta funty funtów font libbra libbre libry liber libier paun paund pauna paunaa
        фунт фунта фунтов фунты фунти фунтів фунтаў фнт λίβρα λίβρες λβ ფუნტი ֆունտ پوند پونڈ باوند פאונד
        पौंड पाउंड पाउन्ड पाउण्ड পাউন্ড பவுண்டு பவுண்டுகள் పౌండు పౌండ్లు પાઉન્ડ ಪೌಂಡ್ ಪೌಂಡ್‌ಗಳು പൗണ്ട് ਪੌਂਡ
        ปอนด์ ပေါင် 磅 ポンド 파운드""",
    "st": "st stone stones стоун стоуна стоунов стоуни стоунів стн ستون סטון स्टोन ストーン 英石 스톤",
    "jin": "jin 斤 市斤",
    "cm": "cm см 厘米 公分 センチ",
    "m": "m м 米",
    "mm": "mm",
    "in": 'in inch inches "',
    "ft": "ft feet foot '",
    "%": "% percent",
    "kcal": "kcal kcal/day kcal/d calories cal ккал 千卡 大卡 キロカロリー",
    "years": "years year yr yrs y",
    "kg/m²": "kg/m² kg/m2 kg/m^2",
    "level": "level levels",
}
#: An underscore stands for a space.
UNITS = {fold(name.casefold().replace("_", " ")): unit for unit, names in _NAMES.items() for name in names.split()}
#: Names of a pound that is 453.59 g in one country and 500 g in another.
_TWO_POUNDS = frozenset(("pfund", "livre", "livres", "pond", "pund", "libra", "libras", "lliura", "lliures", "رطل"))

#: A mass in place of a percentage, or a percentage in place of a mass, is the same quantity in another unit.
SAID_IN: Mapping[tuple[str | Share, str], str | Share] = {
    ("body_fat_percent", "kg"): "fat_mass_kg",
    ("fat_mass_kg", "%"): "body_fat_percent",
    ("body_water_percent", "kg"): "body_water_kg",
    ("body_water_kg", "%"): "body_water_percent",
    ("muscle_mass_kg", "%"): Share.MUSCLE,
    (Share.MUSCLE, "kg"): "muscle_mass_kg",
    ("skeletal_muscle_mass_kg", "%"): Share.SKELETAL_MUSCLE,
    (Share.SKELETAL_MUSCLE, "kg"): "skeletal_muscle_mass_kg",
    ("bone_mass_kg", "%"): Share.BONE,
    (Share.BONE, "kg"): "bone_mass_kg",
    ("fat_free_mass_kg", "%"): Share.FAT_FREE,
    (Share.FAT_FREE, "kg"): "fat_free_mass_kg",
    # The rating is a number without a unit. Apps show it with %, and Renpho's integration in levels.
    ("visceral_fat_rating", "%"): "visceral_fat_rating",
    ("visceral_fat_rating", "level"): "visceral_fat_rating",
}

#: Templates of Home Assistant write floats in full: 18.200000000000003.
_ONE = re.compile(r"([+-]?\d{1,12}(?:[.,]\d{1,17})?)(e[+-]?\d{1,3}(?!\d))?\s*(\D.{0,23})?", re.ASCII)
_TWO = r"(?a)(\d{1,4})\s*(st|stone|ft|feet|')\.?\s*(\d{1,4}(?:[.,]\d{1,6})?)\s*(?:(lbs?|pounds?|in|inch|inches|\")\.?)?"
#: A cell of an export: the value, the healthy range, the unit; or value/percentage/rating.
_CELL = r"(?a)([\d.,]{1,12})\s*\([\d.,\s–-]{1,24}\)\s*(\D{0,8})|([\d.,]{1,12}\s*kg)/[^/]{1,20}/.{1,20}"
#: 1,812 may be one point eight or one thousand eight hundred: only its author knows.
_AMBIGUOUS = re.compile(r"[1-9]\d{0,2}[.,]\d{3}", re.ASCII)
_UNITS_OF_THOUSANDS = frozenset(("kcal", "g"))
#: Converted numbers are rounded to this step, ten thousand times finer than any field of FIT.
_STEP = Decimal("0.000001")


def quantity(value: object, meaning: Quantity) -> tuple[str | Share, Decimal]:
    """A value -> its attribute, which may depend on its unit, and the number in the unit of that attribute.

    A value is a number, a text, or an object of a value and a unit. Raises `NotUnderstood`, or `NotMeasured` for an
    object without a value.
    """
    if isinstance(value, str):
        number, typed = _typed(value, meaning.unit)
    elif isinstance(value, dict):
        number, typed = _in_object(value, meaning.unit)
    else:
        number, typed = plain(value), ""
    unit = typed or meaning.unit
    if (factor := _FACTORS.get(unit)) is not None:
        unit, size = factor
        if size != 1:
            number = (number * size).quantize(_STEP)
    expected = meaning.unit if meaning.unit not in _FACTORS else _FACTORS[meaning.unit][0]
    if unit == expected:
        return meaning.name, number
    if (name := SAID_IN.get((meaning.name, unit))) is not None:
        return name, number
    raise NotUnderstood(Why.NUMBER_IN_UNIT_EXPECTED(unit=expected) if expected else Why.NUMBER_WITHOUT_UNIT_EXPECTED())


def simple(value: object, unit: str) -> Decimal | None:
    """A number other than 0, as `quantity` gives it, if it is in the unit of calculation: 81.4, "81.4" or "81.4 kg".

    None says nothing; `quantity` decides. This is the hot path.
    """
    if value.__class__ is str:
        return _simple_text(value, unit) if len(value) <= _SIMPLE_TEXT else None
    if value.__class__ is int:
        value = Decimal(value) if -_SIMPLE < value < _SIMPLE else None
    if (
        value.__class__ is Decimal
        and unit in _AS_IT_IS
        and value  # not 0
        and value.is_finite()
        and -12 <= value.adjusted() <= 12
    ):
        return value
    return None


#: A scale shows a few hundred different numbers, so a history repeats each of its texts.
@lru_cache(maxsize=4096)
def _simple_text(text: str, unit: str) -> Decimal | None:
    if unit not in _AS_IT_IS:
        return None
    try:
        one = _number(text, unit)
    except NotUnderstood:
        return None
    return one[0] or None if one and one[1] in ("", unit) else None


_SIMPLE_TEXT = 20
_SIMPLE = 10**9
#: Units in which a number needs no conversion.
_AS_IT_IS = frozenset(
    unit for unit in ("", *UNITS.values()) if unit not in _FACTORS or _FACTORS[unit] == (unit, Decimal(1))
)


def plain(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise NotUnderstood(Why.NUMBER_EXPECTED())
    if is_short(value):
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
        # Larger and smaller numbers are impossible, and arithmetic with them may take forever.
        if number.is_finite() and (number == 0 or -12 <= number.adjusted() <= 12):
            return number
    raise NotUnderstood(Why.NO_NUMBER_OF_A_SCALE())


def is_short(value: object) -> bool:
    """False for an integer that is so long that Python would refuse to print it, or take long."""
    return not isinstance(value, int) or value.bit_length() <= 128


def base_unit(unit: str) -> str:
    """The unit of calculation: kg for a mass, cm for a length, otherwise the unit itself."""
    factor = _FACTORS.get(unit)
    return factor[0] if factor else unit


def unit_of(text: object) -> str | None:
    """The unit with this name, such as "lb" for "Lbs.", or None."""
    if not isinstance(text, str) or len(text) > LONGEST_TEXT:
        return None
    name = fold(text.strip().casefold())
    return UNITS.get(name) or UNITS.get(name.removesuffix("."))


_PARTS = {"value": "value", "qty": "value"} | dict.fromkeys(("unit", "units", "uom", "unitofmeasurement"), "unit")
_OBJECT_EXPECTED = Why.OBJECT_OF_NUMBER_EXPECTED()


def _in_object(members: Mapping[str, object], usual: str) -> tuple[Decimal, str]:
    """{"value": 81.4, "unit": "kg"} -> 81.4, "kg"."""
    found: dict[str, object] = {}
    for key, member in members.items():
        part = _PARTS.get(normal(key)) if len(key) <= LONGEST_TEXT else None
        if part is None or part in found:
            raise NotUnderstood(_OBJECT_EXPECTED)
        found[part] = member
    if "value" not in found:
        raise NotUnderstood(_OBJECT_EXPECTED)
    value, written = found["value"], found.get("unit")
    if is_missing(value):
        raise NotMeasured(_OBJECT_EXPECTED)
    unit = "" if is_missing(written) else unit_of(written)
    if unit is None:
        raise NotUnderstood(_UNIT_EXPECTED)
    number, typed = _typed(value, unit or usual) if isinstance(value, str) else (plain(value), "")
    if typed and unit and typed != unit:
        raise NotUnderstood(Why.TWO_UNITS())
    return number, typed or unit


def _typed(text: str, usual: str) -> tuple[Decimal, str]:
    """ "81,4 kg" -> 81.4, "kg". `usual` is the unit of a number without one."""
    text = text.strip().casefold()
    if len(text) > LONGEST_TEXT:
        raise NotUnderstood(Why.TEXT_TOO_LONG())
    if not text.isascii():
        text = fold(text)
    if (one := _number(text, usual)) is not None:
        return one
    if cell := re.fullmatch(_CELL, text):
        text = f"{cell[1]} {cell[2]}".strip() if cell[1] else cell[3]
        if (one := _number(text, usual)) is not None:
            return one
    if two := re.fullmatch(_TWO, text):
        major, minor = UNITS[two[2]], UNITS.get(two[4] or "", "")
        if (major, minor) in (("st", "lb"), ("st", "")):
            return Decimal(two[1]) * 14 + _decimal(two[3]), "lb"
        if (major, minor) in (("ft", "in"), ("ft", "")):
            return Decimal(two[1]) * 12 + _decimal(two[3]), "in"
    raise NotUnderstood(_UNIT_EXPECTED)


_UNIT_EXPECTED = Why.UNIT_UNKNOWN()


def _number(text: str, usual: str) -> tuple[Decimal, str] | None:
    """One number, with or without a unit; None if this is something else."""
    one = _ONE.fullmatch(text)
    if one is None:
        return None
    digits, exponent, name = one.groups()
    unit = ""
    if name is not None and (unit := UNITS.get(name) or UNITS.get(name.removesuffix("."), "")) == "":
        if name in _TWO_POUNDS:
            raise NotUnderstood(Why.POUND_UNCLEAR())
        return None
    if (unit or usual) in _UNITS_OF_THOUSANDS and _AMBIGUOUS.fullmatch(digits):
        raise NotUnderstood(Why.SEPARATOR_UNCLEAR())
    return _decimal(digits) if exponent is None else plain(_decimal(digits + exponent)), unit


def _decimal(digits: str) -> Decimal:
    return Decimal(digits.replace(",", "."))
