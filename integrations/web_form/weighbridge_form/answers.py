"""The function's answers, drawn: problems, notes, and what a conflict is about.

Rule: the function's own sentences are English, and for whoever calls it. What has a code there has words of the page:
the kind of a problem, the code of a note, the reason of a value. Words that say everything take the place of the
function's sentence, with its parameters as the language writes them. In another language than English, other words
come above it. A code that has no words here is shown as the function says it. No English is parsed.

Weakness: what has no parameters keeps its English sentence below the page's words, in every language: what whoever runs
the function has to fix (it names files, settings and commands), and why Garmin refuses or lets no program sign in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import streamlit as st

from weighbridge.client import Result
from weighbridge.notes import Code
from weighbridge.reasons import Phrase, Sentences, Why, fill
from weighbridge_history.errors import FileFault, RowFault

from .clock import duration, to_display
from .values import FIELDS, differences, name_of
from .words import ENGLISH, Language, _, language, mark

IMPORT_PAGE = "https://connect.garmin.com/app/import-data"


class Words(NamedTuple):
    #: With {parameters} it says everything.
    text: str
    #: Whether it says everything, so that the function's sentence would only repeat it.
    is_all: bool = False


#: The kind of a problem -> the words for it.
PROBLEMS: Mapping[str, Words] = {
    "not-http": Words(mark("The request is not valid.")),
    "not-json": Words(mark("This is not the JSON that was expected.")),
    "query-invalid": Words(mark("The request is not valid.")),
    "unauthorized": Words(mark("The function needs a key. Type it at the top."), is_all=True),
    "forbidden": Words(mark("The key of this page is not for this.")),
    "not-found": Words(mark("There is nothing here any more.")),
    "method-not-allowed": Words(mark("The request is not valid.")),
    "too-slow": Words(mark("The request took too long. Try again."), is_all=True),
    "conflict": Words(mark("Garmin already has a weigh-in of this time with other values."), is_all=True),
    "too-large": Words(mark("That is too large.")),
    "address-too-long": Words(mark("That is too large.")),
    "media-type-unsupported": Words(mark("The request is not valid.")),
    "sign-in-ended": Words(mark("This sign-in has ended. Start again."), is_all=True),
    "sign-in-invalid": Words(mark("Something is missing for the sign-in."), is_all=True),
    "code-rejected": Words(mark("Garmin rejected this code. Use the newest one."), is_all=True),
    "codes-used-up": Words(
        mark(
            "The code was rejected, and this sign-in cannot send another. Wait, then sign in again: further failures "
            "lock the account."
        ),
        is_all=True,
    ),
    "sign-in-rejected": Words(
        mark(
            "Garmin rejected this e-mail or password. Try them in a browser at connect.garmin.com first: repeated "
            "failures lock the account."
        ),
        is_all=True,
    ),
    "ticket-rejected": Words(
        mark(
            "This address has no ticket that Garmin accepts. A ticket works once, and only for a few seconds: open "
            "Garmin's page again, and paste the whole new address at once."
        ),
        is_all=True,
    ),
    "account-locked": Words(
        mark(
            "Garmin has locked this account after too many failures. Unlock it in a browser at connect.garmin.com, or "
            "wait one to three days. Every further attempt makes the lock longer."
        ),
        is_all=True,
    ),
    "cool-down": Words(
        mark("The last sign-in failed. Wait before the next one: repeated failures lock the account."), is_all=True
    ),
    "reading-rejected": Words(mark("These values cannot be right. Nothing was sent."), is_all=True),
    "person-unclear": Words(mark("Whose weigh-in is this?"), is_all=True),
    "settings-invalid": Words(mark("The function is not set up correctly.")),
    "template-unusable": Words(mark("The function cannot use its template.")),
    "busy": Words(mark("The function is busy. Try again in a moment."), is_all=True),
    "proof-failed": Words(mark("The file could not be proven. Nothing was sent.")),
    "sign-in-blocked": Words(mark("Garmin does not let the function sign in. Use your own browser.")),
    "garmin-refused": Words(mark("Garmin refused.")),
    "folder-unusable": Words(mark("The file could not be saved.")),
    "token-store-unusable": Words(mark("The sign-in to Garmin cannot be read or saved.")),
    "sign-in-needed": Words(mark("Sign in to Garmin first.")),
    "sign-in-not-renewed": Words(mark("The sign-in to Garmin could not be renewed.")),
    "garmin-unreachable": Words(mark("Garmin cannot be reached now. Nothing was sent.")),
    "rate-limited": Words(mark("Garmin asks to wait. Try again later."), is_all=True),
    "outcome-unknown": Words(mark("Garmin did not answer. It is safe to send the same again."), is_all=True),
    "internal-error": Words(mark("Something went wrong in the function.")),
    "no-answer": Words(mark("The function does not answer.")),
    "not-the-function": Words(mark("Something else answers in place of the function.")),
}

#: The page's own words for a reason or a note, where the function's are for whoever calls it. They may say less.
REASONS: Mapping[Sentences, str] = {
    Why.WEIGHT_MISSING: mark("The weight is missing."),
    Why.WEIGHT_NOT_AMONG_KEYS: mark("The weight is missing. Received: {keys!r}."),
    Why.WEIGHT_DEEPER: mark("The weight is missing. There is one at {place!r}: paste only the part that holds it."),
    Why.COULD_SAY_WHEN: mark(
        "This could say when the weigh-in was, but its name is not known. Choose what it is, or leave it out."
    ),
    Why.COULD_SAY_WHOSE: mark(
        "This could say whose weigh-in it is, but its name is not known. Choose what it is, or leave it out."
    ),
    Why.COULD_SAY_UNIT: mark(
        "This could say the unit of the weight, but its name is not known. Write the unit next to the weight, or leave "
        "this out."
    ),
    Why.COULD_SAY_VALIDITY: mark("This could say whether this is a weigh-in, but its name is not known. Leave it out."),
    Why.TIME_EXPECTED: mark("This time was not understood. Write it like this: 2026-11-23 06:31."),
    Why.TIME_OF_DAY_MISSING: mark("The time of day is missing."),
    Why.ZONE_EXPECTED: mark(
        "This time zone is not known. Write a name such as Europe/Berlin, or an offset such as +01:00."
    ),
    Why.INSTANT_IMPOSSIBLE: mark("{instant} is before the year 2000 or in the future. Correct the time."),
    Why.DATE_AMBIGUOUS: mark("This may be {time} or {other_time}. Write one of these."),
    Why.FIT_TIME: mark("Garmin accepts times from July 1998 to February 2126."),
    Why.FIT_RANGE: mark("Garmin accepts 0 to {maximum} here."),
    Why.DAYS_REVERSED: mark("The first day is after the last one."),
    Why.PERSON_UNKNOWN: mark("No one by this name is known here. Known: {known}."),
    Why.FITS_SEVERAL: mark("This weight fits several people: {fitting}."),
    Why.FITS_NO_ONE: mark("This weight fits nobody who is known here. Is it a guest or a suitcase?"),
    Why.KG_OR_PERCENT: mark(
        "It could be in kg or in %, and the other values do not decide. Write the unit next to it."
    ),
    Why.SEND_AGAIN: mark("Try again."),
    Why.SEND_AGAIN_REPLACING: mark("Try again."),
    Code.TIME_OF_ARRIVAL: mark("It has no time, so it counts from now."),
    Code.TIME_OF_RECEIPT: mark("It has no time, so the time when it was received counts."),
    Code.ZONE_ASSUMED: mark("{key!r} has no time zone, so it was read in {zone}."),
    Code.HOUR_TWICE: mark("The clock change repeats this hour. The first one counts."),
    Code.HOUR_SKIPPED: mark("The clock change skips this time, so {time} counts."),
    Code.FELL_BACK: mark("The first way did not work, so another was used. {fault}"),
    Code.OTHER_FILES_KEPT: mark("A file with other values is there for the same time. Import only one of them."),
    Code.REPLACED_ENTRY_REMAINS: mark("The old entry is still there. Delete it in the list of weigh-ins."),
    RowFault.TIME_OF_DAY_OF_ROW_MISSING: mark("the time of day is missing"),
    RowFault.JSON_INVALID: mark("column {place}: this is not valid JSON"),
    FileFault.FILE_NOT_JSON: mark("Row {row}, column {column}: this is not valid JSON."),
    FileFault.ROW_UNREADABLE: mark("Row {row} cannot be read. Is the file damaged there?"),
    FileFault.TIME_COLUMN_MISSING: mark("No column is recognized as the time. Choose it below."),
    FileFault.WEIGHT_COLUMN_MISSING: mark("No column is recognized as the weight. Choose it below."),
    FileFault.BOTH_COLUMNS_MISSING: mark("No column is recognized as the time or the weight. Choose both below."),
    FileFault.TIMES_OF_DAY_MISSING: mark("The file has dates and no times of day."),
    FileFault.UNIT_OF_COLUMN_MISSING: mark(
        "Which unit is the column {header!r} in? Neither its header nor its cells say."
    ),
    FileFault.UNIT_OF_FITBIT_MISSING: mark("Which unit are the weights in? Fitbit's file does not say."),
    FileFault.SEVERAL_PEOPLE: mark("The file holds weigh-ins of {people:and}. Whose do you want?"),
    FileFault.TOML_INVALID: mark("This is not valid TOML. Expected: {expected}."),
}
#: What is known here, by its code.
KNOWN: Mapping[str, Sentences] = {why.code: why for why in (*Why, *Code, *RowFault, *FileFault)}
#: Parameters that are words of a table.
_WORDS = frozenset(("quantity", "other", "unit", "weekday", "values", "question"))
#: Parameters that are names of values.
_NAMES = frozenset(("key", "keys", "kept", "meant", "names"))
_FIELDS = frozenset(field.key for field in FIELDS)


def sentence_of(why: Sentences) -> str:
    """The page's English sentence of a reason."""
    return REASONS.get(why, why.sentence)


def text_of_reason(reason: Mapping[str, Any], of: Language | None = None) -> str:
    """A reason, or a fault within a note, in the language of the page or in another one; in the words that came if its
    code is not known here."""
    of = of or language()
    why, params = KNOWN.get(str(reason.get("code"))), reason.get("params")
    if why is None and (words := PROBLEMS.get(str(reason.get("code")))):
        return of.say(words.text)
    if why is None or not isinstance(params, dict) or not why.parameters <= params.keys():
        return str(reason.get("message", ""))
    return fill(of.say(sentence_of(why)), params, _texts_in(of))


def _texts_in(of: Language) -> Callable[[str, object], str]:
    """The text of a parameter in a language, by its name."""

    def text_of(name: str, value: object) -> str:
        if isinstance(value, dict):
            return Phrase(text_of_reason(value, of))
        if isinstance(value, int | float) and not isinstance(value, bool):
            return of.number(value, 6)
        text = str(value)
        if name in _WORDS or (name in _NAMES and text in _FIELDS):
            return of.say(text)
        return to_display(text, of) if name == "instant" else text

    return text_of


def in_own_words(words: str, english: str, *, is_all: bool = False) -> str:
    """The page's words for a sentence of the function if they say everything; otherwise the sentence, in another
    language below the words."""
    if words and (is_all or not english):
        return words
    return f"{words}  \n{english}" if words and language() is not ENGLISH else english


def asks_for_a_key(reply: Result) -> bool:
    """Whether a key is missing or wrong. The first time, draws the page again with a field for the key."""
    if reply.kind != "unauthorized":
        return False
    name = st.session_state["function of"]
    if f"asks {name}" not in st.session_state:
        st.session_state[f"asks {name}"] = True
        st.rerun()
    return True


def show_warnings(receipt: Mapping[str, Any]) -> None:
    for warning in receipt["warnings"]:
        st.warning(text_of_note(warning))


def show_notes(receipt: Mapping[str, Any], *, warnings: bool = True) -> None:
    if warnings:
        show_warnings(receipt)
    for note in receipt["notes"]:
        st.info(text_of_note(note))


def text_of_note(note: Mapping[str, Any], of: Language | None = None) -> str:
    return text_of_reason({**note, "message": note["text"]}, of)


def text_of(answer: Result, english: str = "") -> str:
    """What a problem says. `english`: another sentence of the function for it."""
    if answer.kind == "rate-limited" and answer.retry_after_s:
        return _("Garmin asks to wait. Try again in {duration}.", duration=duration(answer.retry_after_s))
    return text_of_kind(answer.kind, english or answer.text)


def text_of_kind(kind: str, english: str) -> str:
    words = PROBLEMS.get(kind, Words(""))
    return in_own_words(_(words.text), english, is_all=words.is_all)


def errors_of(answer: Result) -> dict[str, str]:
    """What is wrong with which value, by its name."""
    return {error["field"]: text_of_reason(error) for error in answer.errors}


def show_problem(answer: Result, *, import_by_hand: bool = False) -> None:
    by_hand = _(
        "Until then, download the file and import it by hand on [Garmin's import page]({page}).", page=IMPORT_PAGE
    )
    st.error(f"{text_of(answer)} {by_hand}" if import_by_hand else text_of(answer))
    for error in answer.errors:
        name, text = error["field"], text_of_reason(error)
        st.error(f"{name_of(name)}: {text}" if name else text)
    if answer.kind == "conflict":
        _show_conflict(answer)


def _show_conflict(answer: Result) -> None:
    """Show what the reading would add to the entry in Garmin, change in it and remove from it."""
    found = differences(answer.body["ours"], answer.body["theirs"], answer.added, answer.changed)
    for title, texts in (
        (_("Would be added"), found.added),
        (_("Would be changed"), found.changed),
        (_("Would be removed, because this reading does not have it"), found.removed),
    ):
        if texts:
            st.markdown("\n".join([f"**{title}**", "", *(f"- {text}" for text in texts)]))
