"""Exports in many languages, units and orders: each comes out right, or is asked about, or is refused by row.

Each file is made from one line: its columns, each with what is in its cells. All values are made up.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.e2e.parts.histories import WEIGH_INS, WeighIn
from weighbridge.errors import ReadingRejected
from weighbridge.reading.interpret import interpret
from weighbridge.reading.languages import HEADERS_ONLY, LANGUAGES
from weighbridge_history import times
from weighbridge_history.errors import MappingInvalid
from weighbridge_history.read import History, read_here

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
POUND, STONE = 0.45359237, 6.35029318


class File(NamedTuple):
    """`columns`: separated by `|`, each a header, `=`, and a pattern of `strftime` or a value of `VALUES`, its unit.
    A unit with `!` is in the cell, too.
    """

    columns: str
    said: Mapping[str, Any] = {}
    delimiter: str = ","
    decimal: str = "."
    above: str = ""


#: Value -> its number, and what the function makes of it.
VALUES: Mapping[str, tuple[Callable[[WeighIn], float], str]] = {
    "weight": (lambda w: w.weight_kg, "weight_kg"),
    "fat %": (lambda w: w.fat_percent, "body_fat_percent"),
    "fat": (lambda w: w.fat_kg, "fat_mass_kg"),
    "lean": (lambda w: w.fat_free_kg, "fat_free_mass_kg"),
    "muscle": (lambda w: w.muscle_kg, "muscle_mass_kg"),
    "muscle %": (lambda w: w.muscle_kg / w.weight_kg * 100, "muscle_mass_kg"),
    "skeletal": (lambda w: w.muscle_kg * 0.6, "skeletal_muscle_mass_kg"),
    "skeletal %": (lambda w: w.muscle_kg * 0.6 / w.weight_kg * 100, "skeletal_muscle_mass_kg"),
    "bone": (lambda w: w.bone_kg, "bone_mass_kg"),
    "water": (lambda w: w.water_kg, "body_water_kg"),
    "water %": (lambda w: w.water_kg / w.weight_kg * 100, "body_water_percent"),
    "subcutaneous %": (lambda w: w.subcutaneous_percent, "subcutaneous_fat_percent"),
    "visceral": (lambda w: w.visceral, "visceral_fat_rating"),
    "BMI": (lambda w: w.weight_kg / 1.82**2, "bmi"),
    "BMR": (lambda _: 1765.0, "basal_metabolic_rate_kcal"),
    "age": (lambda _: 38.0, "metabolic_age_years"),
    "height": (lambda _: 182.0, "height_cm"),
}
SIZES = {"kg": 1.0, "lb": POUND, "st": STONE, "jin": 0.5, "": 1.0, "%": 1.0, "kcal": 1.0}

FILES: Mapping[str, File] = {
    "Renpho, German": File(
        "Messdatum=%d.%m.%Y, %H:%M:%S|Gewicht(kg)=weight|BMI=BMI|Körperfett(%)=fat %|"
        "Fettfreies Körpergewicht(kg)=lean|"
        "Subkutanes Fett(%)=subcutaneous %|Viszeralfett=visceral|Körperwasser(%)=water %|"
        "Skelettmuskel(%)=skeletal %|"
        "Muskelmasse(kg)=muscle|Knochenmasse(kg)=bone|Protein(%)=-|Grundumsatz(kcal)=BMR|Stoffwechselalter=age|"
        "Bemerkungen=-"
    ),
    "Renpho, Spanish": File(
        "Fecha=%d/%m/%Y| Hora=%H:%M:%S| Peso(kg)=weight|IMC=BMI|Grasa corporal(%)=fat %|"
        "Músculo esquelético(%)=skeletal %|"
        "Peso corporal sin grasa(kg)=lean|Grasa subcutánea(%)=subcutaneous %|Grasa visceral=visceral|"
        "Agua corporal(%)=water %|Masa muscular(kg)=muscle|Masa ósea(kg)=bone|Proteína (%)=-|"
        "Tasa Metabólica Basal(kcal)=BMR|Edad metabólica=age|Tipo de cuerpo=-"
    ),
    "Renpho, English, in pounds": File(
        "Time of Measurement=%B %d, %Y %I:%M:%S %p|Weight(lb)=weight lb|Body Fat(%)=fat %|"
        "Fat-free Body Weight(lb)=lean lb|Muscle Mass(lb)=muscle lb|Bone Mass(lb)=bone lb|Metabolic Age=age"
    ),
    "Renpho, English, with points": File(
        "Date=%Y.%m.%d|Time=%H:%M:%S|Weight(kg)=weight|Body Fat(%)=fat %|Remarks=-"
    ),
    "Fitdays, English, 28 columns": File(
        "Time of Measurement=%Y-%m-%d %H:%M:%S|Weight(kg)=weight|BMI=BMI|Body Fat(%)=fat %|"
        "Subcutaneous Fat(%)=subcutaneous %|Heart Rate(bpm)=-|Cardiac Index(L/min/m2)=-|Visceral Fat=visceral|"
        "Body Water(%)=water %|Skeletal Muscle(%)=skeletal %|Muscle Mass(kg)=muscle|Bone Mass(kg)=bone|"
        "Protein(%)=-|"
        "BMR(kcal)=BMR|Metabolic Age=age|Fat Mass(kg)=fat|Water Content(kg)=water|"
        "Skeletal Muscle Mass(kg)=skeletal|"
        "Muscle Rate(%)=muscle %|Protein Mass(kg)=-|Obesity Level=-|Fat-free Weight(kg)=lean|SMI(kg/m2)=-|"
        "Body Score=-|"
        "Target Weight(kg)=-|Weight Control(kg)=-|Fat Control(kg)=-|Muscle Control(kg)=-"
    ),
    "Fitdays, Portuguese, newer": File(
        "Hora/Data=%H:%M %d/%m/%Y|Peso(kg)=weight|IMC=BMI|Gordura Corporal(%)=fat %|"
        "Gordura Subcutânea(%)=subcutaneous %|Gordura Visceral=visceral|Água Corporal(%)=water %|"
        "Massa Musc. Esquelética(%)=skeletal %|Massa Muscular(kg)=muscle|Massa Óssea(kg)=bone|TMB(kcal)=BMR|"
        "Idade Metabólica=age|Massa Gorda(kg)=fat|Teor de Umidade(kg)=water|Músculo Esquelético(kg)=skeletal|"
        "Taxa Muscular(%)=muscle %|Obesidade(%)=-|Massa Livre de Gordura(kg)=lean|Peso-alvo(kg)=-"
    ),
    "Fitdays, German, in cells": File(
        "Datum=%H:%M %d/%m/%Y|Gewicht=weight kg!|Körperfett=fat % %!|Fettmasse=fat kg!|Muskelmasse=muscle kg!|"
        "Wassergehalt=water kg!|Eingeweidefett=visceral|Grundumsatz=BMR kcal!"
    ),
    "Fitdays, French, in cells": File(
        "Heure=%H:%M %d/%m/%Y|Poids=weight kg!|Graisse=fat % %!|Masse grasse=fat kg!|Masse osseuse=bone kg!|"
        "Muscle=muscle kg!|Eau=water % %!|Âge corporel=age"
    ),
    "Fitdays, Italian, in cells": File(
        "Data=%H:%M %d/%m/%Y|Peso=weight kg!|Massa grassa=fat % %!|Massa muscolare=muscle kg!|"
        "Muscolo scheletrico=skeletal kg!|Idratazione=water % %!|Età del corpo=age"
    ),
    "Fitdays, Chinese, in cells": File(
        "测量时间=%Y-%m-%d %H:%M|体重=weight kg!|脂肪率=fat % %!|骨骼肌=skeletal % %!|水分=water % %!|"
        "含水量=water kg!|骨量=bone kg!"
    ),
    "Withings, German": File(
        "Date=%Y-%m-%d %H:%M:%S|Gewicht (kg)=weight|Fettmasse (kg)=fat|Knochenmasse (kg)=bone|"
        "Muskelmasse (kg)=muscle|"
        "Wasseranteil (kg)=water|Kommentare=-"
    ),
    "Withings, German, old": File(
        "Date=%Y-%m-%d %H:%M Uhr|Gewicht (kg)=weight|Fettmasse (kg)=fat|Fettfreier Anteil (kg)=lean|Kommentare=-"
    ),
    "Withings, French": File(
        "Date=%Y-%m-%d %H:%M:%S|Poids (kg)=weight|Masse grasse (kg)=fat|Masse osseuse (kg)=bone|"
        "Masse musculaire (kg)=muscle|Hydratation (kg)=water|Commentaires=-"
    ),
    "Withings, Dutch": File(
        "Datum=%Y-%m-%d %H:%M:%S|Gewicht (kg)=weight|Vetmassa (kg)=fat|Botmassa (kg)=bone|Spiermassa (kg)=muscle|"
        "Hydratatie (kg)=water|Opmerkingen=-"
    ),
    "Withings, Spanish, in pounds": File(
        "Fecha=%Y-%m-%d %H:%M:%S|Peso (lb)=weight lb|Masa grasa (lb)=fat lb|Masa ósea (lb)=bone lb|"
        "Masa muscular (lb)=muscle lb|Hidratación (lb)=water lb"
    ),
    "Withings, Japanese": File(
        "日付=%Y-%m-%d %H:%M:%S|体重 (kg)=weight|脂肪量 (kg)=fat|骨量 (kg)=bone|筋肉量 (kg)=muscle|"
        "水分量 (kg)=water"
    ),
    "Withings-like, shares": File(
        "Date=%Y-%m-%d %H:%M|Weight (kg)=weight|Muscle=muscle kg!|Hydration=water % %!|Fat=fat kg!"
    ),
    "muscle in %": File("Date=%Y-%m-%d %H:%M|Weight (kg)=weight|Muscle=muscle % %!|Bone=bone kg!"),
    "German table": File(
        "Datum=%d.%m.%Y|Uhrzeit=%H:%M|Gewicht [kg]=weight|Körperfett [%]=fat %|Wasseranteil [%]=water %|"
        "Muskelanteil [%]=muscle %|Notiz=-",
        delimiter=";",
        decimal=",",
    ),
    "German table, tabs and stones": File(
        "Messzeit=%d.%m.%Y %H:%M:%S|Körpergewicht (st)=weight st|"
        "Körperfettanteil=fat % %!", delimiter="\t", decimal=","
    ),
    "German table, a fat twice": File(
        "Zeitpunkt=%Y-%m-%dT%H:%M:%S|Gewicht (kg)=weight|Körperfett (%)=fat %|Körperfett (kg)=fat"
    ),
    "Dutch table": File(
        "Datum/tijd=%d-%m-%Y %H:%M|Gewicht=weight kg!|Lichaamsvet=fat % %!|Vetvrije massa=lean kg!|"
        "Visceraal vet=visceral",
        delimiter=";",
        decimal=",",
    ),
    "Dutch app": File(
        "Tijdstip=%Y-%m-%d %H:%M:%S|Gewicht (kg)=weight|Lichaamsvet (%)=fat %|Vetvrij lichaamsgewicht (kg)=lean|"
        "Spiersnelheid (%)=muscle %|Skeletspier (kg)=skeletal|Lichaamswater (%)=water %|Lichaamsleeftijd=age"
    ),
    "French table, months by name": File(
        "Date et heure=%d %b %Y %H:%M|Poids (kg)=weight|Taux de graisse (%)=fat %|Graisse viscérale=visceral",
        delimiter=";",
        decimal=",",
    ),
    "French table, two columns": File(
        "Date=%d/%m/%Y|Heure=%Hh%M|Poids (kg)=weight|Masse maigre (kg)=lean|IMC=BMI", delimiter=";", decimal=","
    ),
    "Spanish table": File(
        "Fecha y hora=%d/%m/%Y %H:%M|Peso (kg)=weight|Masa grasa (%)=fat %|Músculo (kg)=muscle|Agua (%)=water %",
        delimiter=";",
        decimal=",",
    ),
    "Portuguese table": File(
        "Data=%d/%m/%Y|Hora=%H:%M|Peso (kg)=weight|Gordura (%)=fat %|Massa magra (kg)=lean|Idade corporal=age",
        delimiter=";",
        decimal=",",
    ),
    "Italian table": File(
        "Data=%d/%m/%Y|Ora=%H:%M|Peso (kg)=weight|Massa grassa (kg)=fat|Massa magra (kg)=lean|"
        "Acqua corporea (%)=water %",
        delimiter=";",
        decimal=",",
    ),
    "Polish table": File(
        "Data i godzina=%Y-%m-%d %H:%M|Waga (kg)=weight|Tkanka tłuszczowa (%)=fat %|Masa mięśniowa (kg)=muscle|"
        "Masa kości (kg)=bone|Tłuszcz trzewny=visceral",
        delimiter=";",
        decimal=",",
    ),
    "Polish table, no accents": File(
        "Data=%d.%m.%Y|Godzina=%H:%M|Masa ciala [kg]=weight|Tkanka tluszczowa [%]=fat %", delimiter=";", decimal=","
    ),
    "Czech table": File(
        "Datum=%d.%m.%Y|Čas=%H:%M|Váha (kg)=weight|Tělesný tuk (%)=fat %|Svalová hmota (kg)=muscle|"
        "Viscerální tuk=visceral"
        ,
        delimiter=";",
        decimal=",",
    ),
    "Czech table, cells": File(
        "Datum a čas=%d.%m.%Y %H:%M|Hmotnost=weight kg!|Tuková hmota=fat kg!|Kostní hmota=bone kg!|"
        "Obsah vody v těle=water % %!"
    ),
    "Chinese table": File(
        "测量时间=%Y-%m-%d %H:%M:%S|体重(kg)=weight|体脂率(%)=fat %|体水分(%)=water %|骨骼肌率(%)=skeletal %|"
        "内脏脂肪等级(level)=visceral|基础代谢(kcal)=BMR|备注=-"
    ),
    "Chinese table, jin": File("日期=%Y年%m月%d日|时间=%H:%M|体重(斤)=weight jin|体脂率=fat % %!"),
    "Chinese table, traditional": File(
        "測量時間=%Y/%m/%d %H:%M|體重(公斤)=weight|體脂率(%)=fat %|去脂體重(公斤)=lean|內臟脂肪=visceral"
    ),
    "Japanese table": File(
        "日付=%Y/%m/%d|時間=%H:%M|体重(kg)=weight|体脂肪率(%)=fat %|"
        "推定骨量(kg)=bone|体内年齢=age"
    ),
    "Japanese table, cells": File(
        "測定日=%Y年%m月%d日|測定時刻=%H:%M|体重=weight kg!|体脂肪=fat % %!|除脂肪体重=lean kg!|"
        "内臓脂肪レベル=visceral"
    ),
    "openScale 3, kg": File(
        "BODY_FAT=fat %|BONE=bone|DATE=%Y-%m-%d|MUSCLE=muscle|TIME=%H:%M:%S.974|WATER=water %|WEIGHT=weight",
        {"units": {"weight": "kg"}},
    ),
    "openScale 3, lb": File(
        "BODY_FAT=fat %|DATE=%Y-%m-%d|TIME=%H:%M:%S.974|WATER=water %|WEIGHT=weight lb", {"units": {"WEIGHT": "lb"}}
    ),
    "openScale 3, st": File("BODY_FAT=fat %|DATE=%Y-%m-%d|TIME=%H:%M:%S|WEIGHT=weight st", {"units": {"weight": "st"}}),
    "openScale 2": File(
        "bone=bone|comment=-|dateTime=%Y-%m-%d %H:%M|fat=fat %|lbm=lean|muscle=muscle %|visceralFat=visceral|"
        "weight=weight"
    ),
    "Zepp Life": File(
        "time=%Y-%m-%d %H:%M:%S+0100|weight=weight|height=height|bmi=BMI|fatRate=fat %|bodyWaterRate=water %|"
        "boneMass=bone|metabolism=BMR|muscleRate=muscle|visceralFat=visceral"
    ),
    "SmartScaleConnect": File(
        "Date=%Y-%m-%d %H:%M:%S|Weight=weight|BMI=BMI|BodyFat=fat %|BodyWater=water %|BoneMass=bone|MetabolicAge=age|"
        "MuscleMass=muscle|PhysiqueRating=|VisceralFat=visceral|BasalMetabolism=BMR|HeartRate=-|"
        "SkeletalMuscleMass=skeletal|User=|Source=-"
    ),
    "MyTanita": File(
        "Date=%Y-%m-%d %H:%M:%S|Weight (kg)=weight|BMI=BMI|Body Fat (%)=fat %|Visc Fat=visceral|"
        "Muscle Mass (kg)=muscle|Muscle Quality=-|Bone Mass (kg)=bone|BMR (kcal)=BMR|Metab Age=age|"
        "Body Water (%)=water %"
    ),
    "pounds by the arithmetic": File("date=%Y-%m-%d %H:%M|weight=weight lb|body fat (%)=fat %|fat mass (kg)=fat"),
    "stones by height and BMI": File("date=%Y-%m-%d %H:%M|weight=weight st|height=height|BMI=BMI"),
    "kilograms by fat and fat-free mass": File(
        "Datum=%Y-%m-%d %H:%M|Gewicht=weight|Fettmasse (kg)=fat|Magermasse (kg)=lean"
    ),
}  # fmt: skip
#: %b in French, because the names of `strftime` are those of the machine.
FRENCH = ("janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc.")


def cell(what: str, weigh_in: WeighIn, decimal: str) -> str:
    if what in ("", "-"):
        return what and "–"
    if what.startswith("%"):
        return weigh_in.at.strftime(what.replace("%b", FRENCH[weigh_in.at.month - 1]))
    name, unit, shown = parts_of(what)
    number = f"{VALUES[name][0](weigh_in) / SIZES[unit]:.2f}".replace(".", decimal)
    return f"{number} {unit}" if shown else number


def parts_of(what: str) -> tuple[str, str, bool]:
    """The name of a value, its unit, and whether the unit is in the cell."""
    for name in sorted(VALUES, key=len, reverse=True):
        if what == name or what.startswith(f"{name} "):
            unit = what.removeprefix(name).strip()
            return name, unit.removesuffix("!"), unit.endswith("!")
    raise KeyError(what)


def written(file: File, *, backwards: bool) -> bytes:
    columns = [column.rpartition("=")[::2] for column in file.columns.split("|")]
    columns = columns[::-1] if backwards else columns
    out = io.StringIO()
    out.write(file.above)
    rows = csv.writer(out, delimiter=file.delimiter)
    rows.writerow([header for header, _ in columns])
    for weigh_in in WEIGH_INS:
        rows.writerow([cell(what, weigh_in, file.decimal) for _, what in columns])
    return out.getvalue().encode()


@pytest.mark.parametrize("backwards", [False, True], ids=["", "backwards"])
@pytest.mark.parametrize("name", FILES)
def test_each_file_is_read(name: str, backwards: bool) -> None:
    """Each export comes out with the instants and the values of its file, in any order of its columns."""
    file = FILES[name]
    history = read_here(written(file, backwards=backwards), timezone=BERLIN, **file.said)
    assert [row.fault for row in history.rows if row.fault] == []
    assert all(column.recognized_by.startswith("its header") for column in history.columns if column.key)
    expected = {
        VALUES[parts_of(what)[0]][1]: parts_of(what)[0]
        for what in (column.rpartition("=")[2] for column in file.columns.split("|"))
        if what not in ("", "-") and not what.startswith("%")
    }
    for row, weigh_in in zip(history.rows, WEIGH_INS, strict=True):
        found = interpret(json.loads(row.line), now=NOW, timezone=BERLIN)
        assert found.unknown == ()
        assert found.reading.measured_at == weigh_in.at.replace(tzinfo=BERLIN)
        for attribute, value in expected.items():
            shown = float(str(getattr(found.reading, attribute)))
            right = VALUES[value][0](weigh_in)
            in_kg = weigh_in.weight_kg / 100 if value.endswith("%") and attribute.endswith("_kg") else 1
            assert shown == pytest.approx(right * in_kg, abs=0.06), attribute


def means(history: History) -> dict[str, tuple[str, str]]:
    return {column.header: (column.word, column.recognized_by) for column in history.columns}


def test_preview_says_by_what_a_column_is_recognized() -> None:
    """The header with its language, the unit in the header, the unit in the cells, and what is not decided."""
    rows = b"2026-04-23 07:30,81.4,18.2 %,60.1 kg,45,77.6,x\n" * 3
    found = means(
        read_here("Datum,Gewicht (kg),Körperfett,Muskelanteil,Wassergehalt (kg),Muskelrate,Foo\n".encode() + rows)
    )
    assert found == {
        "Datum": ("time", "its header (German)"),
        "Gewicht (kg)": ("weight", "its header (German)"),
        "Körperfett": ("body fat", "its header (German)"),
        "Muskelanteil": ("muscle mass", "its header (German) and the unit in its cells"),
        "Wassergehalt (kg)": ("water weight", "its header (German) and the unit in it"),
        "Muskelrate": ("muscle rate, kg or %", "its header (German); the other values decide its unit"),
        "Foo": ("", "unknown"),
    }


@pytest.mark.parametrize(
    ("headers", "language"),
    [("Datum,Gewicht (kg),Lichaamsvet", "Dutch"), ("Datum,Gewicht (kg),Körperfett", "German"),
     ("Data,Peso (kg),Massa grassa", "Italian"), ("Data,Hora,Peso (kg),Gordura", "Portuguese")],
)  # fmt: skip
def test_language_of_a_shared_word(headers: str, language: str) -> None:
    """A word of several languages is in the one with most words of the file."""
    cells = ["2026-04-23", "07:30", "81.4", "18.2 %"]
    row = ",".join(cells if "Hora" in headers else [" ".join(cells[:2]), *cells[2:]])
    found = means(read_here(f"{headers}\n{row}\n".encode(), timezone=BERLIN))
    assert {by for _, by in found.values()} <= {
        f"its header ({language})",
        f"its header ({language}) and the unit in its cells",
    }


@pytest.mark.parametrize("day", ["Okt 5, 2022", "5. Okt. 2022", "5. Oktober 2022", "2022-10-05"])
def test_garmin_in_another_language(day: str) -> None:
    """Garmin's export in German: the day above the times of that day, and its muscle mass is called skeletal."""
    text = "Zeit,Gewicht,Änderung,BMI,Körperfett,Skelettmuskelmasse,Knochenmasse,Körperwasser\n"
    text += f'"{day}",,,,,,,\n'
    text += "7:31,81.4 kg,0.2 kg,24.6,18.2 %,63.2 kg,3.4 kg,56.4 %\n"
    history = read_here(text.encode(), timezone=BERLIN)
    assert history.kind == "Garmin Connect's CSV"
    (row,) = history.rows
    found = interpret(json.loads(row.line), now=NOW, timezone=BERLIN).reading
    assert found.measured_at == datetime(2022, 10, 5, 7, 31, tzinfo=BERLIN)
    assert (str(found.muscle_mass_kg), str(found.body_water_percent)) == ("63.2", "56.4")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Datum;Gewicht (kg)\n5. Brumaire 2022 07:30;81,4\n6.10.2022 07:30;81,4\n", "time"),
        ("Datum;Uhrzeit;Gewicht (kg)\n6.10.2022;halb acht;81,4\n7.10.2022;7:30;81,5\n", "time"),
        ("Datum;Gewicht (Pfund)\n6.10.2022 07:30;162,8 Pfund\n7.10.2022 07:30;162,9 Pfund\n", "pound"),
        ("Datum;Gewicht (kg);Zeitstempel der Waage\n6.10.2022 07:30;81,4;gestern\n7.10.2022 07:30;81,5;\n", ""),
    ],
)
def test_row_that_is_not_understood_is_refused(text: str, reason: str) -> None:
    """A month, a time of day or a unit that is not known refuses its row, with the reason; the others go on."""
    try:
        history = read_here(text.encode(), timezone=BERLIN, order=times.DAY_FIRST)
    except MappingInvalid as fault:
        assert "Gewicht (Pfund)" in str(fault)
        return
    first, second = history.rows
    outcomes = []
    for row in (first, second):
        try:
            interpret(json.loads(row.line), now=NOW, timezone=BERLIN)
            outcomes.append("")
        except ReadingRejected as fault:
            outcomes.append(" ".join(error.message for error in fault.errors).casefold())
    assert outcomes[1] == ""
    assert reason in outcomes[0]


def words_for(english: str) -> list[str]:
    tables = [*LANGUAGES.values(), *HEADERS_ONLY.values()]
    return [word.strip("* ") for table in tables for word in table.get(english, "").split(", ") if word]


def dates(moment: datetime) -> list[str]:
    """The date in the words of each language, and in numbers."""
    names = [names.split(", ")[moment.month - 1].split() for names in times.MONTHS.values()]
    spoken = [form for each in names for name in each for form in (f"{moment.day}. {name} {moment.year}",
              f"{moment.day} de {name} de {moment.year}", f"{name} {moment.day}, {moment.year}")]  # fmt: skip
    return [*spoken, f"{moment.year}年{moment.month}月{moment.day}日", f"{moment:%d.%m.%Y}", f"{moment:%Y/%m/%d}"]


@settings(max_examples=200, deadline=None)
@given(
    moment=st.datetimes(datetime(2015, 1, 1), datetime(2026, 1, 1)),  # noqa: DTZ001  # the clock on a wall
    when=st.sampled_from(words_for("time")),
    weight=st.sampled_from(words_for("weight")),
    form=st.integers(0, 10**6),
    clock=st.sampled_from(["", "%H:%M", "%H:%M:%S", "%I:%M %p", "%Hh%M", "%H:%M Uhr", "下午%I:%M", "%I:%M a. m."]),
    zone=st.sampled_from([None, BERLIN, ZoneInfo("Asia/Tokyo")]),
)
def test_midnight_is_never_invented(
    moment: datetime, when: str, weight: str, form: int, clock: str, zone: ZoneInfo | None
) -> None:
    """No language gives an instant at midnight of the zone that is not in the file; a date that is read is right."""
    at = moment.replace(hour=max(moment.hour, 1))
    written_dates = dates(at)
    day = written_dates[form % len(written_dates)]
    text = f"{when};{weight} (kg)\n{day} {at.strftime(clock)};80\n"
    try:
        history = read_here(text.encode(), timezone=zone, order=times.DAY_FIRST)
    except MappingInvalid:
        assert not clock, text
        return
    for row in history.readings:
        try:
            found = interpret(json.loads(row.line), now=NOW, timezone=BERLIN).reading.measured_at
        except ReadingRejected:
            continue
        local = found.astimezone(zone or BERLIN)
        assert clock, text
        assert local.date() == at.date(), text
        assert local.hour > 0 or "12:" in text, text
