"""The same weigh-ins in the format of each app and service. All values are made up."""

from __future__ import annotations

import csv
import io
import random
import zipfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import xlwt

from weighbridge_history.columns import FITDAYS_ORDER


class WeighIn(NamedTuple):
    """The time is local and to the minute, as in most exports."""

    at: datetime
    weight_kg: float
    fat_percent: float
    fat_kg: float
    fat_free_kg: float
    muscle_kg: float
    bone_kg: float
    water_kg: float
    protein_kg: float
    visceral: int
    subcutaneous_percent: float


def weigh_in(number: int) -> WeighIn:
    weight, fat_percent = 80.0 + (number * 7 % 40) / 10, 17.0 + (number * 3 % 30) / 10
    fat = round(weight * fat_percent / 100, 1)
    free = round(weight - fat, 1)
    bone = 3.4
    muscle = round(free - bone, 1)
    protein = 14.0 + number % 5 / 10
    return WeighIn(
        # Each minute is different. After the 12th of a month, the day cannot be mistaken for the month.
        at=datetime(2022, 11, 10, 7, 31) + timedelta(hours=25 * number),  # noqa: DTZ001  # the clock on a wall
        weight_kg=round(weight, 1),
        fat_percent=round(fat_percent, 1),
        fat_kg=fat,
        fat_free_kg=free,
        muscle_kg=muscle,
        bone_kg=bone,
        water_kg=round(muscle - protein, 1),
        protein_kg=round(protein, 1),
        visceral=6 + number % 3,
        subcutaneous_percent=15.0 + number % 7 / 10,
    )


WEIGH_INS = tuple(weigh_in(number) for number in range(8))

#: Headers as a phone in that language writes them. Only the Portuguese and the English words are from the app.
LANGUAGES: Mapping[str, Sequence[str]] = {
    "English": ["Time", *(word.title() for word in FITDAYS_ORDER[1:])],
    **{
        language: [header.strip() for header in headers.replace("\n", ",").split(",") if header.strip()]
        for language, headers in {
            "Portuguese": """
                Data, Peso, IMC, Gordura corporal, Gordura subcutânea, Gordura visceral, Água corporal
                Massa Musc. Esquelética, Massa Muscular, Massa Óssea, Proteína, TMB, Idade Metabólica, Massa gorda
                Teor de umidade, Músculo esquelético, Taxa muscular, Massa protéica, Massa Livre de Gordura""",
            "German": """
                Datum, Gewicht, BMI, Körperfett, Unterhautfett, Eingeweidefett, Körperwasser, Skelettmuskel
                Muskelmasse, Knochenmasse, Eiweiß, Grundumsatz, Körperalter, Fettmasse, Wassergewicht
                Skelettmuskelmasse, Muskelrate, Eiweißmasse, Fettfreie Masse""",
            "French": """
                Heure, Poids, IMC, Graisse, Graisse sous-cutanée, Graisse viscérale, Eau, Muscle squelettique
                Masse musculaire, Masse osseuse, Protéine, MB, Âge corporel, Masse grasse, Poids en eau
                Masse squelettique, Taux de muscle, Masse protéique, Poids sans graisse""",
            "Chinese": """
                时间, 体重, 体质指数, 脂肪率, 皮下脂肪, 内脏脂肪, 水分, 骨骼肌, 肌肉量, 骨量, 蛋白质, 基础代谢
                身体年龄, 脂肪量, 含水量, 骨骼肌量, 肌肉率, 蛋白量, 去脂体重""",
        }.items()
    },
    "unknown": [f"xy{i}" for i in range(19)],
}
SEGMENTS = [f"{part} {what}" for part in ("LA", "RA", "TR", "LL", "RL") for what in ("fat", "muscle", "impedance")]


def fitdays_cells(w: WeighIn) -> list[str]:
    skeletal = round(w.muscle_kg * 0.6, 1)
    return [
        f"{w.at:%H:%M %d/%m/%Y}",
        f"{w.weight_kg:.1f}(60.0-80.0)kg",
        f"{w.weight_kg / 1.82**2:.1f}(18.5-25.0)",
        f"{w.fat_percent:.1f}(10.0-20.0)%",
        f"{w.subcutaneous_percent:.1f}%",
        f"{w.visceral}",
        f"{w.water_kg / w.weight_kg * 100:.1f}%",
        f"{skeletal / w.weight_kg * 100:.1f}%",
        f"{w.muscle_kg:.1f}(50.0-65.0)kg",
        f"{w.bone_kg:.1f}kg",
        f"{w.protein_kg / w.weight_kg * 100:.1f}%",
        "1765kcal",
        "- -",
        f"{w.fat_kg:.1f}kg",
        f"{w.water_kg:.1f}kg",
        f"{skeletal:.1f}kg",
        f"{w.muscle_kg / w.weight_kg * 100:.1f}%",
        f"{w.protein_kg:.1f}kg",
        f"{w.fat_free_kg:.1f}kg",
        *("3.4kg/462.8%/Alto" if i % 3 < 2 else "- -" for i in range(len(SEGMENTS))),
    ]


def fitdays(
    language: str = "Portuguese", weigh_ins: Sequence[WeighIn] = WEIGH_INS, *, order: Sequence[int] = ()
) -> bytes:
    """The app's export: a BIFF8 spreadsheet, although its name ends in .csv. `order`: of the columns."""
    headers = [*LANGUAGES[language], *SEGMENTS]
    order = order or range(len(headers))
    book = xlwt.Workbook()
    sheet = book.add_sheet("data")
    for y, cells in enumerate([headers, *map(fitdays_cells, weigh_ins)]):
        for x, i in enumerate(order):
            sheet.write(y, x, cells[i])
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def garmin(clock: str = "%I:%M %p", day: str = " %b %d, %Y") -> bytes:
    rows = [["Time", "Weight", "Change", "BMI", "Body Fat", "Skeletal Muscle Mass", "Bone Mass", "Body Water", ""]]
    for w in WEIGH_INS:
        water = f"{w.water_kg / w.weight_kg * 100:.1f} %"
        rows.append([w.at.strftime(day), ""])
        values = [
            f"{w.weight_kg:.1f} kg",
            "0.2 kg",
            "24.6",
            f"{w.fat_percent:.1f} %",
            f"{w.muscle_kg:.1f} kg",
            "3.4 kg",
        ]
        rows.append([w.at.strftime(clock).lstrip("0"), *values, water, ""])
    return _csv(rows)


def openscale() -> bytes:
    rows = [["bone", "comment", "dateTime", "fat", "lbm", "muscle", "visceralFat", "water", "weight"]]
    for w in WEIGH_INS:
        muscle, water = (f"{part / w.weight_kg * 100:.2f}" for part in (w.muscle_kg, w.water_kg))
        cells = [
            "3.4",
            "",
            f"{w.at:%d.%m.%Y %H:%M}",
            str(w.fat_percent),
            str(w.fat_free_kg),
            muscle,
            str(w.visceral),
            water,
        ]
        rows.append([*cells, str(w.weight_kg)])
    return _csv(rows)


def withings() -> bytes:
    header = [
        "Date",
        "Weight (kg)",
        "Fat mass (kg)",
        "Bone mass (kg)",
        "Muscle mass (kg)",
        "Hydration (kg)",
        "Comments",
    ]
    masses = [(w.at, (w.weight_kg, w.fat_kg, w.bone_kg, w.muscle_kg, w.water_kg)) for w in WEIGH_INS]
    return _csv([header, *([f"{at:%Y-%m-%d %H:%M:%S}", *map(str, values), ""] for at, values in masses)])


def apple_health(*, archive: bool = False) -> bytes:
    def record(kind: str, unit: str, value: Callable[[WeighIn], float]) -> list[str]:
        return [
            f'<Record type="HKQuantityTypeIdentifier{kind}" sourceName="Scale" unit="{unit}" '
            f'startDate="{w.at:%Y-%m-%d %H:%M:%S} +0100" value="{value(w):.4g}"/>'
            for w in WEIGH_INS
        ]

    steps = ['<Record type="HKQuantityTypeIdentifierStepCount" sourceName="Watch" unit="count" value="12"/>']
    records = [
        *steps,
        *record("BodyMass", "kg", lambda w: w.weight_kg),
        *record("BodyFatPercentage", "%", lambda w: w.fat_percent / 100),
        *record("LeanBodyMass", "kg", lambda w: w.fat_free_kg),
    ]
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE HealthData [\n<!ELEMENT HealthData (Record*)>\n]>\n'
        '<HealthData locale="en_DE">\n' + "\n".join(records) + "\n</HealthData>\n"
    )
    if not archive:
        return text.encode()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("apple_health_export/export_cda.xml", "<ClinicalDocument/>")
        zipped.writestr("apple_health_export/导出.xml", text)
    return file.getvalue()


def json_lines() -> bytes:
    return b"\n".join(
        b'{"measured_at": "%s", "weight_kg": %s, "body_fat_percent": "%s %%"}'
        % (w.at.isoformat().encode(), str(w.weight_kg).encode(), str(w.fat_percent).encode())
        for w in WEIGH_INS
    )


def _csv(rows: Sequence[Sequence[str]]) -> bytes:
    file = io.StringIO()
    csv.writer(file).writerows(rows)
    return ("\ufeff" + file.getvalue()).encode()


def years(rows: int) -> str:
    """A CSV file of twenty years, each weigh-in with values that fit together."""
    dice = random.Random(rows)
    lines = ["date,weight (kg),body fat,fat mass,fat-free mass,muscle mass,bone mass"]
    start, apart = datetime(2005, 1, 1, 6, 30, tzinfo=UTC), 20 * 365 * 24 * 60 // max(rows, 5000)
    for number in range(rows):
        weight, fat_percent = dice.randrange(780, 850) / 10, dice.randrange(170, 200) / 10
        fat = round(weight * fat_percent / 100, 1)
        free = round(weight - fat, 1)
        at = start + timedelta(minutes=number * apart)
        lines.append(f"{at.isoformat()},{weight},{fat_percent} %,{fat},{free:.1f},{free - 3.4:.1f},3.4")
    return "\n".join(lines)
