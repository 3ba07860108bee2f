"""Why a value is rejected: a code and its parameters for programs, and a sentence in the language of who reads it."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.interpreting import only_error, understood
from weighbridge import errors
from weighbridge.errors import ReadingRejected
from weighbridge.http.encoding import json_bytes
from weighbridge.http.problems import problem
from weighbridge.notes import Code, Note
from weighbridge.reading.instants import ZONE_NOT_NEEDED
from weighbridge.reading.steering import Question
from weighbridge.reasons import Parameter, Reason, Why, parameters_in
from weighbridge.receipt import note_on_the_wire
from weighbridge_form.answers import KNOWN, PROBLEMS, sentence_of, text_of_note, text_of_reason
from weighbridge_form.words import LANGUAGES, language_of
from weighbridge_history.errors import FileFault, RowFault

RANGE = {"quantity": "weight", "minimum": 2, "maximum": 400, "unit": "kg"}
#: Payload -> the code and the parameters on the wire, and the sentences in German and in Portuguese.
CASES = [
    (
        {"weight": 814},
        ("out-of-range", RANGE),
        "Erwartet: Gewicht von 2 bis 400 kg.",
        "Esperado: peso de 2 a 400 kg.",
    ),
    (
        {},
        ("weight-missing", {}),
        "Das Gewicht fehlt.",
        "Falta o peso.",
    ),
    (
        {"mood": 3, "wieght": 81.4},
        (
            "weight-not-among-keys",
            {
                "keys": [
                    {
                        "code": "did-you-mean",
                        "params": {"key": "wieght", "meant": "weight"},
                        "message": "'wieght' (did you mean 'weight'?)",
                    },
                    "mood",
                ]
            },
        ),
        "Das Gewicht fehlt. Erhalten: 'wieght' (meintest du 'Gewicht'?), 'mood'.",
        "Falta o peso. Recebido: 'wieght' (você quis dizer 'peso'?), 'mood'.",
    ),
    (
        {"weight": 81.4, "epoch of the scale": 1},
        ("could-say-when", {}),
        "Das könnte die Zeit der Messung sein, aber der Name ist nicht bekannt. Wähle, was es ist, oder lass es weg.",
        "Isto pode ser o horário da pesagem, mas o nome não é conhecido. Escolha o que é ou deixe de fora.",
    ),
    (
        {"weight": "81.4 zentner"},
        ("unit-unknown", {}),
        "Erwartet: eine Zahl mit einer bekannten Einheit (kg, g, lb, st, jin, %, kcal, cm …).",
        "Esperado: um número com uma unidade conhecida (kg, g, lb, st, jin, %, kcal, cm …).",
    ),
    (
        {"weight": 81.4, "time": "2126-01-01T07:31:00Z"},
        ("instant-impossible", {"instant": "2126-01-01T07:31:00Z"}),
        "01.01.2126, 07:31 liegt vor dem Jahr 2000 oder in der Zukunft. Korrigiere die Zeit.",
        "01/01/2126, 07:31 é antes do ano 2000 ou está no futuro. Corrija o horário.",
    ),
    (
        {"weight_kg": 81.4, "weight_lb": 150},
        ("another-value", {"key": "weight_kg"}),
        "'weight_kg' hat einen anderen Wert für dasselbe.",
        "'weight_kg' tem outro valor para a mesma coisa.",
    ),
    (
        {"weight": 81.4, "time": "Mon, 24 Nov 2026 06:31:00 Z"},
        ("weekday-wrong", {"date": "2026-11-24", "weekday": "Tuesday"}),
        "2026-11-24 ist ein Dienstag. Korrigiere das Datum oder den Wochentag.",
        "2026-11-24 cai em terça-feira. Corrija a data ou o dia da semana.",
    ),
    (
        {"weight": 81.4, "body fat": 18.2, "fat mass": 20},
        (
            "contradiction",
            {
                "reason": {
                    "code": "does-not-fit",
                    "params": {
                        "quantity": "fat mass",
                        "measured": 20,
                        "unit": "kg",
                        "other": "weight × body fat %",
                        "limit": 14.81,
                        "allowed": 0.14,
                    },
                    "message": "Fat mass 20 kg does not fit weight × body fat %: 14.81 kg (a difference of 0.14 kg is "
                    "allowed for rounding).",
                }
            },
        ),
        "Fettmasse 20 kg und Gewicht × Körperfett in % (14,81 kg) passen nicht zusammen. Wegen der Rundung ist ein "
        "Unterschied von 0,14 kg erlaubt. Ist einer der Werte vertippt, nicht aktuell oder von jemand anderem?",
        "Massa de gordura 20 kg não combina com peso × gordura corporal em %: 14,81 kg (uma diferença de 0,14 kg é "
        "permitida pelo arredondamento). Algum dos valores foi digitado errado, não foi atualizado ou é de outra "
        "pessoa?",
    ),
]


def on_the_wire(reason: Reason) -> dict[str, object]:
    found: dict[str, object] = json.loads(json_bytes(reason.shown(), pretty=False))
    return found


@pytest.mark.parametrize(("payload", "expected", "german", "portuguese"), CASES, ids=[case[1][0] for case in CASES])
def test_reason_in_each_language(
    payload: dict[str, object], expected: tuple[str, dict[str, object]], german: str, portuguese: str
) -> None:
    """A value that is rejected has a code and parameters, of which each language makes its own sentence."""
    error = on_the_wire(only_error(payload).reason)
    assert (error["code"], error["params"]) == expected
    assert text_of_reason(error, language_of("de")) == german
    assert text_of_reason(error, language_of("pt")) == portuguese


def test_problem_has_codes() -> None:
    """A problem on the wire names each value with its code, its parameters and the English sentence."""
    error = only_error({"weight": 814})
    assert json.loads(json_bytes(problem(ReadingRejected([error])), pretty=False))["errors"] == [
        {
            "field": "weight",
            "input": 814,
            "code": "out-of-range",
            "params": RANGE,
            "message": "The weight must be 2 to 400 kg.",
        }
    ]


def test_value_without_a_unit_leaves_no_space() -> None:
    """A range of a value without a unit ends with its number, in every language."""
    doubt = understood({"weight": 81.4, "visceral fat": 95}).warnings[0]
    assert isinstance(doubt, Note)
    of_doubt = doubt.parameters["reason"]
    assert isinstance(of_doubt, Reason)
    shown = on_the_wire(of_doubt)
    assert shown["message"] == "The visceral fat must be 0.5 to 59. Received: 95."
    assert text_of_reason(shown, language_of("de")) == "Erwartet: Viszeralfett von 0,5 bis 59. Erhalten: 95."


@pytest.mark.parametrize(
    "reason",
    [
        {"code": "of-tomorrow", "params": {}, "message": "As it came."},
        {"code": "out-of-range", "params": {"minimum": 2}, "message": "As it came."},
        {"code": ["out-of-range"], "params": None, "message": "As it came."},
        {"message": "As it came."},
    ],
)
def test_unknown_reason_is_shown_as_it_came(reason: dict[str, object]) -> None:
    """A code that the page does not know, or one without its parameters, is shown in the function's words."""
    for language in LANGUAGES:
        assert text_of_reason(reason, language) == "As it came."


def test_reason_has_its_parameters() -> None:
    """A reason without one of its parameters, or with another one, cannot be made."""
    for parameters in ({}, {"key": "a", "more": "b"}, {"kye": "a"}):
        with pytest.raises(TypeError, match="another-value"):
            Why.ANOTHER_VALUE(**parameters)


def test_codes() -> None:
    """A code is a short word of its own, in the function and in the history import together."""
    codes = [why.code for why in (*Why, *Code, *RowFault, *FileFault)]
    assert len(set(codes)) == len(codes) == len(KNOWN)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code) and len(code) <= 40 for code in codes)


def test_every_code_has_a_sentence_in_each_language() -> None:
    """A sentence of the page has no parameter that its code lacks, and a translation that is another sentence."""
    for why in KNOWN.values():
        sentence = sentence_of(why)
        assert parameters_in(sentence) <= why.parameters, why
        for language in LANGUAGES[1:]:
            said = language.say(sentence)
            assert parameters_in(said) == parameters_in(sentence), why
            assert said != sentence, f"{why} has no words in {language.tag}: python -m scripts.words"


@pytest.mark.parametrize("why", KNOWN.values(), ids=KNOWN)
def test_no_word_for_programs_on_the_page(why: Why) -> None:
    """What a person of the page cannot do is in no sentence of it: a query, an option, a setting, a status."""
    if why not in _OF_CALLS:
        assert not re.search(r"replace=|--\w|HTTP|WEIGHBRIDGE|measured_at|Pass |[Ss]end ", sentence_of(why))


#: The page makes no such request.
_OF_CALLS = frozenset((Why.PARAMETER_UNKNOWN,))


# -- notes -------------------------------------------------------------------------------------------------

#: The parameters of notes, as they are in a receipt, each of the shapes that it may have.
SAMPLES: dict[str, list[Parameter]] = {
    "delivery": ["garminconnect"],
    "question": [*(question.value for question in Question), ZONE_NOT_NEEDED],
    "unit": ["kg", "%"],
    "time": ["03:30"],
    "reason": [
        *(
            why(**dict.fromkeys(why.parameters, "x"))
            for why in (
                Why.COEFFICIENT_OF_FORMULA,
                Why.ONLY_VALUES_BESIDE,
                Why.HAS_OWN_UNIT,
                Why.ANOTHER_KEY_SAYS_WHOSE,
                Why.UNIT_NOT_OF_VALUE,
            )
        ),
        Why.SEND_AGAIN(),
        Why.SEND_AGAIN_REPLACING(),
        Why.NOT_DELETED(id="1", fault=errors.GarminUnreachable("English words that nobody reads."), reason="x"),
    ],
    "values": [["body fat"], ["body fat", "bone mass", "visceral fat"]],
    "instant": ["2026-11-23T06:31:00Z"],
    "count": [1812],
    "seconds": [Decimal("30.5")],
    "fault": [errors.SignInNeeded("English words."), errors.RateLimited("English words.", 60)],
}


def notes_of(code: Code) -> Iterator[Note]:
    """A note of each shape; what is not in the table of samples is a name."""
    names = sorted(code.parameters)
    for values in itertools.product(*(SAMPLES.get(name, ["x"]) for name in names)):
        yield code(**dict(zip(names, values, strict=True)))


def received(note: Note) -> dict[str, Any]:
    """As it comes to the page."""
    found: dict[str, Any] = json.loads(json_bytes(note_on_the_wire(note), pretty=False))
    return found


@pytest.mark.parametrize("code", Code)
@pytest.mark.parametrize("tag", [language.tag for language in LANGUAGES[1:]])
def test_note_is_said_in_one_language(code: Code, tag: str) -> None:
    """On a page in another language, no sentence of a note is English, nor is one within it."""
    for note in notes_of(code):
        text = text_of_note(received(note), language_of(tag))
        english = [code.sentence, sentence_of(code), "English words"]
        english += [str(note.parameters[name]) for name in ("question", "reason", "fault") if name in note.parameters]
        english += [label for labels in note.parameters.values() if isinstance(labels, list) for label in labels]
        for sentence in english:
            for part in re.split(r"\{[^}]*\}", sentence):
                assert len(part.strip(" .:;,'x")) < 4 or part not in text, (part, text)


def test_note_in_each_language() -> None:
    """Numbers, instants and lists in a note are as the language of the page writes them."""
    added = Code.COMPLETES_WEIGH_IN(instant="2026-11-23T06:31:00Z", values=["body fat", "bone mass"])
    assert str(added) == "It belongs to the weigh-in of 2026-11-23T06:31:00Z and adds body fat and bone mass to it."
    assert [text_of_note(received(added), language) for language in LANGUAGES] == [
        "It belongs to the weigh-in of 23 Nov 2026, 06:31 and adds body fat and bone mass to it.",
        "Sie gehört zur Messung vom 23.11.2026, 06:31 und ergänzt dort: Körperfett und Knochenmasse.",
        "Ela pertence à pesagem de 23/11/2026, 06:31 e acrescenta: gordura corporal e massa óssea.",
    ]
    late = received(Code.NOT_VISIBLE_YET(seconds=Decimal("2.5")))
    assert late["params"] == {"seconds": 2.5}
    assert "nach 2,5 s" in text_of_note(late, language_of("de"))


def test_unknown_note_is_shown_as_it_came() -> None:
    """A note whose code or parameters the page does not know is shown in the function's words."""
    for note in (
        {"code": "of-tomorrow", "params": {}},
        {"code": "not-measured", "params": {}},
        {"code": "not-measured"},
    ):
        for language in LANGUAGES:
            assert text_of_note({**note, "text": "As it came."}, language) == "As it came."


def test_fault_within_a_note_is_a_problem() -> None:
    """A fault within a note has the code of its problem, so the page has words for it."""
    for fault in (errors.GarminUnreachable("As it came."), errors.CoolDown("As it came.", 60)):
        note = received(Code.LOOK_FAILED(fault=fault))
        assert note["params"]["fault"] == {"code": fault.code, "params": {}, "message": "As it came."}
        assert fault.code in PROBLEMS
