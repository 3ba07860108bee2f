"""Keys that are not known and could still change what the reading means: when, whose, in which unit, and whether.

Rule: such a key never passes unseen. If nothing else in the reading answers its question, the reading is refused.

Strategy: patterns by question, matched with the words of a key. Words that only look like it are cut out first:
`uptime` is not a time, and `uptime_timestamp` is one. A key may be written in one word (`measuretime`), so a pattern
also finds a part of a word.

The words of other languages are those that such keys have in common (`languages`), with and without accents.

Weakness: words that are short or mean something else in English, such as Čas and Data, are not among them. A key with
only those is named in the receipt, as any unknown key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from functools import cache, lru_cache

from ..reasons import Why
from .dialects import TIMES, VOCABULARY, Role, normal
from .keys import slip_of, written
from .quantities import LONGEST_TEXT


class Question(Enum):
    """What a key could answer, in words for the receipt."""

    TIME = "when the weigh-in was"
    PERSON = "whose weigh-in it is"
    UNIT = "in which unit the weight is"
    VALIDITY = "whether this is a weigh-in"


#: Why a key is refused that is not known and could answer the question, and what to send in its place.
COULD_SAY: Mapping[Question, Why] = {
    Question.TIME: Why.COULD_SAY_WHEN,
    Question.PERSON: Why.COULD_SAY_WHOSE,
    Question.UNIT: Why.COULD_SAY_UNIT,
    Question.VALIDITY: Why.COULD_SAY_VALIDITY,
}

#: `*x*` a part of a word; `x*` the start of a word; `*_x` the last of several words; `x` the whole key.
PATTERNS: Mapping[Question, str] = {
    Question.TIME: (
        "*time* *date* *stamp* *epoch* measured* last* recorded* created* *_at when ts *_ts ts_ms dt *_dt "
        "day month year hour "
        "*datum* *zeitpunkt* *zeitstempel* *uhrzeit* *messzeit* *tijdstip* *heure* *horodat* *fecha* *horario* "
        "*horário* *orario* *godzin* *时间* *時間* *日期* *日付* *日時* *時刻*"
    ),
    Question.PERSON: (
        "*user* *person* *profile* *member* *owner* *account* *patient* who whose nickname "
        "*first_name* *firstname* *last_name* *lastname* *full_name* *fullname* "
        "*benutzer* *gebruiker* *utilisateur* *usuario* *usuário* *utilizador* *utente* *użytkownik* *uzytkownik* "
        "*uživatel* *uzivatel* *用户* *用戶* *ユーザー*"
    ),
    Question.UNIT: (
        "*unit* uom *_uom *imperial* metric *_metric measurement_system is_kg is_lb is_lbs is_pounds kg lb lbs pounds "
        "*einheit* *eenheid* *unidad* *jednostk* *jednotk* *单位* *單位* *単位*"
    ),
    # Final, cancelled and discarded are how scales and apps say the same as stable, deleted and not valid.
    Question.VALIDITY: (
        "*stab* *remov* *valid* *delet* *discard* *cancel* final *_final finali* *unconfirmed* "
        "*gelöscht* *geloscht* *gültig* *gultig* *verwijderd* *supprim* *eliminad* *eliminat* *borrad* *apagad* "
        "*usunięt* *usuniet* *smazán* *smazan* *删除* *刪除* *削除*"
    ),
}

#: Words that contain a pattern and do not answer its question. Those with "_" are also written in one word or with
#: capitals (`dateOfBirth`); the others are one word, so that `upDate` is not `update`.
EXCEPTED: Mapping[Question, str] = {
    Question.TIME: (
        # Durations, and words that only have these letters.
        "uptime up_time downtime runtime run_time lifetime life_time timeout time_out airtime "
        "bedtime sometimes response_time processing_time execution_time elapsed_time time_to_live time_interval "
        "sentiment centimeter centimeters centimetre centimetres multimeter "
        "update updates updated_by auto_update candidate mandate validate validated invalidated consolidated "
        # Dates of a person or a device.
        "date_of_birth birth_date birthdate birth_time birth_year birth_month birth_day year_of_birth "
        "boot_time startup_time build_time build_date compile_date release_date firmware_date manufacture_date "
        "manufacturing_date production_date expiry_date expiration_date install_date purchase_date warranty_date "
        "target_date goal_date due_date calibration_date model_year time_format date_format "
        "geburtsdatum geboortedatum zieldatum streefdatum "
        # The previous one of something else.
        "last_name lastname last_reset last_boot last_restart last_reboot last_error last_weight last_bmi last_fat "
        "last_impedance last_user last_person last_calibration created_by recorded_by measured_by measured_with "
        "last_valid_state"
    ),
    Question.PERSON: (
        "user_agent useragent user_interface user_count users_count number_of_users user_defined user_height user_age "
        "user_gender user_sex user_goal personal personality personal_best persontype person_type person_count "
        "remember remember_me membership ownership profile_picture profile_image profile_url"
    ),
    Question.UNIT: (
        "unit_price unit_cost unit_serial impedance_unit protein_unit heart_rate_unit community "
        "communities opportunity opportunities immunity united temperature_unit temperature_units temp_unit "
        "distance_unit pressure_unit volume_unit energy_unit speed_unit length_unit battery_unit metric_name"
    ),
    Question.VALIDITY: (
        "tablet table is_tablet establish established adjustable "
        "impedance_stabilized impedance_stabilised impedance_stable impedance_valid removable finalist"
    ),
}

#: Words within a part of a key: `lastChanged`, `UTCTime`, `weight_kg`.
_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[^\W_A-Z]+|[A-Z]+")
_PARTS = re.compile(r"[^\W_]+")
_LONGEST_EXCEPTION = 4


def questions_of(key: str) -> tuple[Question, ...]:
    """The questions that a key outside of the vocabulary could answer: by its name, or by the one it is a slip of."""
    if len(key) <= LONGEST_TEXT:
        return _questions_of(key)
    # Nothing is cut out of a long one, so that it does not take long.
    shape = f"_{key.casefold()}_"
    return tuple(question for question in Question if _found(question).search(shape))


@lru_cache(maxsize=4096)
def _questions_of(key: str) -> tuple[Question, ...]:
    if found := _by_name(key):
        return found
    name, known = normal(key), slip_of(key)
    meaning = VOCABULARY[known] if known else None
    question = _OF_ROLE.get(meaning) if isinstance(meaning, Role) else None
    if question is None or known is None or name in _CUT[question]:
        return ()
    # `measure` is not a slip of `measured`, `recorder` not of `recorded`, and `record_id` neither.
    if len(_WORDS.findall(key)) != len(_WORDS.findall(written(known))):
        return ()
    inflected = known[:-1] in (name, name[:-1]) or known == name[:-1]
    return () if inflected else (question,)


def _by_name(key: str) -> tuple[Question, ...]:
    parts = [[word.casefold() for word in _WORDS.findall(part)] for part in _PARTS.findall(key)]
    words = [(number, word) for number, part in enumerate(parts) for word in part]
    # Nearly every key has no pattern; this is fast.
    shape = _shape(words)
    if not _found(None).search(shape):
        return ()
    found = [question for question in Question if _found(question).search(shape)]
    return tuple(q for q in found if _found(q).search(_shape(_without(words, _CUT[q]))))


def _shape(words: list[tuple[int, str]]) -> str:
    """A key for the patterns: each word, and then each part in one word, between underlines."""
    glued: dict[int, str] = {}
    for number, word in words:
        glued[number] = glued.get(number, "") + word
    return f"_{'_'.join(word for _, word in words)}_ _{'_'.join(glued.values())}_"


def _without(words: list[tuple[int, str]], cut: frozenset[str]) -> list[tuple[int, str]]:
    """The words that are not excepted."""
    left = []
    i = 0
    while i < len(words):
        size = next((n for n in range(_LONGEST_EXCEPTION, 0, -1) if _is_cut(words[i : i + n], cut)), 0)
        if not size:
            left.append(words[i])
        i += size or 1
    return left


def _is_cut(words: list[tuple[int, str]], cut: frozenset[str]) -> bool:
    glued = "".join(word for _, word in words)
    # A word with a capital inside, or two words, are found with "_" only.
    return (f"_{glued}" if len(words) > 1 else glued) in cut


@cache
def _found(question: Question | None) -> re.Pattern[str]:
    """The expression of a question's patterns; None: of all. Made when the first unknown key comes, because it takes a
    seventh of the start."""
    patterns = PATTERNS.values() if question is None else [PATTERNS[question]]
    forms = []
    for pattern in " ".join(patterns).split():
        word = re.escape(pattern.strip("*_"))
        if pattern.startswith("*_"):
            forms.append(rf"[^ _]_{word}_(?: |$)")
        elif pattern.startswith("*"):
            forms.append(word)
        elif pattern.endswith("*"):
            forms.append(f"_{word}")
        else:
            forms.append(rf"(?:^| )_{word}_(?: |$)")
    return re.compile("|".join(forms))


_OF_ROLE: Mapping[Role, Question] = {
    **{role: Question.TIME for rank in TIMES for role in rank},
    Role.ZONE: Question.TIME,
    Role.PERSON: Question.PERSON,
    Role.PERSON_ID: Question.PERSON,
    Role.WEIGHT_UNIT: Question.UNIT,
    **dict.fromkeys((Role.GOOD, Role.BAD, Role.PROBLEM, Role.MODE), Question.VALIDITY),
}

_CUT = {
    question: frozenset(
        form
        for word in words.split()
        for form in (word.replace("_", ""), f"_{word.replace('_', '')}" if "_" in word else "")
    )
    for question, words in EXCEPTED.items()
}
