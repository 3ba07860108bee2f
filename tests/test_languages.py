"""Words of other languages: each has the meaning of an English key, for every caller of the function."""

from __future__ import annotations

import json

import pytest

from tests.interpreting import understood, values
from weighbridge.reading.dialects import DIALECTS, FITDAYS_WORDS, VOCABULARY, Meaning, normal, spellings
from weighbridge.reading.keys import meaning_of, slip_of
from weighbridge.reading.languages import HEADERS_ONLY, LANGUAGES

#: Language -> a payload, and its values.
SAID: dict[str, tuple[str, dict[str, str]]] = {
    "German": (
        """{"Datum": "21.11.2026", "Uhrzeit": "06:31", "Gewicht": "81,4", "Körperfett": "18,2", "Fettmasse (kg)": 14.8,
            "Muskelmasse": "63,2 kg", "Wasseranteil (kg)": "45,9", "Grundumsatz": 1812, "Benutzer": "Anna"}""",
        {"fat_mass_kg": "14.8", "muscle_mass_kg": "63.2", "body_water_kg": "45.9", "person": "Anna"},
    ),
    "Dutch": (
        """{"Datum": "21.11.2026", "Tijd": "06:31", "Gewicht": "81,4", "Lichaamsvet": "18,2", "Spiermassa": "63,2",
            "Botmassa": "3,4", "Visceraal vet": 7, "Lichaamswater": "56,4"}""",
        {"muscle_mass_kg": "63.2", "bone_mass_kg": "3.4", "visceral_fat_rating": "7", "body_water_percent": "56.4"},
    ),
    "French": (
        """{"Date et heure": "21.11.2026 06:31", "Poids": "81,4", "Graisse corporelle": "18,2",
            "Masse grasse": "14,8 kg", "Masse osseuse": "3,4", "Âge corporel": 38, "IMC": "25,7"}""",
        {"fat_mass_kg": "14.8", "bone_mass_kg": "3.4", "metabolic_age_years": "38", "bmi": "25.7"},
    ),
    "Spanish": (
        """{"Fecha": "21.11.2026", "Hora": "06:31", "Peso": "81,4", "Grasa corporal": "18,2", "Masa muscular": "63,2",
            "Músculo esquelético": "36,1 kg", "Tasa Metabólica Basal (kcal)": 1812}""",
        {"muscle_mass_kg": "63.2", "skeletal_muscle_mass_kg": "36.1", "basal_metabolic_rate_kcal": "1812"},
    ),
    "Portuguese": (
        """{"Hora/Data": "06:31 21/11/2026", "Peso": "81,4kg", "Gordura corporal": "18,2%", "Gordura visceral": "7",
            "Teor de umidade": "45.9kg", "Massa Livre de Gordura": "66.6kg", "Idade Metabólica": "38"}""",
        {"body_water_kg": "45.9", "fat_free_mass_kg": "66.6", "visceral_fat_rating": "7", "metabolic_age_years": "38"},
    ),
    "Italian": (
        """{"Data e ora": "21.11.2026 06:31", "Peso": "81,4", "Massa grassa": "18,2%", "Massa ossea": "3,4",
            "Acqua corporea": "56,4", "Età del corpo": 38}""",
        {"bone_mass_kg": "3.4", "body_water_percent": "56.4", "metabolic_age_years": "38"},
    ),
    "Polish": (
        """{"Data pomiaru": "21.11.2026 06:31", "Waga": "81,4", "Tkanka tłuszczowa": "18,2", "Masa mięśniowa": "63,2",
            "Masa kości": "3,4", "Użytkownik": "Anna"}""",
        {"muscle_mass_kg": "63.2", "bone_mass_kg": "3.4", "person": "Anna"},
    ),
    "Czech": (
        """{"Datum": "21.11.2026", "Čas": "06:31", "Hmotnost": "81,4", "Tělesný tuk": "18,2", "Svalová hmota": "63,2",
            "Kostní hmota": "3,4", "Viscerální tuk": 7}""",
        {"muscle_mass_kg": "63.2", "bone_mass_kg": "3.4", "visceral_fat_rating": "7"},
    ),
    "Chinese": (
        """{"测量时间": "2026-11-21 06:31:00", "体重(kg)": 81.4, "体脂率": 18.2, "肌肉量": 63.2, "骨量": 3.4,
            "内脏脂肪等级": 7, "身体年龄": 38}""",
        {"muscle_mass_kg": "63.2", "bone_mass_kg": "3.4", "visceral_fat_rating": "7", "metabolic_age_years": "38"},
    ),
    "Japanese": (
        """{"測定日": "2026-11-21", "測定時刻": "06:31", "体重": 81.4, "体脂肪率": 18.2, "推定骨量": 3.4,
            "内臓脂肪レベル": 7, "体内年齢": 38}""",
        {"bone_mass_kg": "3.4", "visceral_fat_rating": "7", "metabolic_age_years": "38"},
    ),
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_language_is_understood(language: str) -> None:
    """A reading in each language has its instant and its values, and no key of it is unknown."""
    text, expected = SAID[language]
    found = understood(json.loads(text))
    assert f"{found.reading.measured_at:%Y-%m-%d %H:%M}" == "2026-11-21 05:31"
    assert found.unknown == ()
    wanted = {"weight_kg": "81.4", "body_fat_percent": "18.2"} | expected
    assert values(json.loads(text)).items() >= wanted.items()


def words() -> list[tuple[str, str, str]]:
    return [
        (language, english, word.removesuffix("*"))
        for language, table in LANGUAGES.items()
        for english, words in table.items()
        for word in words.split(", ")
    ]


def test_each_word_stands_for_a_key_of_a_dialect() -> None:
    """Each word has the meaning of its English key, in any spelling, with a unit, and without its accents."""
    english = {normal(key): meaning for dialect in DIALECTS.values() for key, meaning in dialect.items()}
    for _, key, word in words():
        for name in (word, word.upper(), *spellings(word)):
            assert meaning_of(name) == english[normal(key)], (word, key)
    assert str(meaning_of("peso_kg")) == str(meaning_of("weight_kg"))
    assert meaning_of("Korperfett") == meaning_of("Masa tluszczowa (%)") == meaning_of("body fat")


def test_no_word_has_two_meanings() -> None:
    """A word that two languages share means the same in both, so no language needs to be detected."""
    meanings: dict[str, set[Meaning]] = {}
    for _, key, word in words():
        for name in spellings(word):
            meanings.setdefault(name, set()).add(VOCABULARY[normal(key)])
    assert {name: found for name, found in meanings.items() if len(found) > 1} == {}


def test_headers_only() -> None:
    """A word that is a header only has no meaning as the key of a reading."""
    for table in HEADERS_ONLY.values():
        for english, word in table.items():
            assert meaning_of(word) is None, word
            assert meaning_of(english) is not None, english
    assert "data" not in VOCABULARY


def test_words_of_fitdays_keep_their_rule() -> None:
    """A word for one of the share screen's own words has its rule, and another one for the same value has not."""
    assert {normal("Massa Livre de Gordura"), normal("Teor de umidade")} <= FITDAYS_WORDS
    assert normal("Fettfreie Masse") not in FITDAYS_WORDS


def test_slips_are_of_english_words() -> None:
    """Only a key of a dialect is suggested: two languages have too many similar words."""
    assert slip_of("boddy fat") == "bodyfat"
    assert slip_of("Gewixht") is None
