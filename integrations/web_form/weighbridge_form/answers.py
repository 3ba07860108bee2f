"""The function's answers, drawn: problems, notes, and what a conflict is about.

Rule: the function's own sentences are English. What has a code there has words in the catalog too: the kind of a
problem, the code of a note. A page in English shows the function's sentence. One in another language shows its own
words, and below them the English sentence, unless its words say everything. What has no words here is shown in English.
No English is parsed.

Weakness: an error of a value has no code, so another language says only to check it, above the English sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import streamlit as st

from weighbridge.client import Result
from weighbridge.notes import Code

from .values import differences, name_of
from .words import ENGLISH, _, language, mark

IMPORT_PAGE = "https://connect.garmin.com/app/import-data"


class Words(NamedTuple):
    text: str
    #: Whether they say everything, so that the English sentence would only repeat them.
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
    "conflict": Words(mark("Garmin has other values for the same time."), is_all=True),
    "too-large": Words(mark("That is too large.")),
    "media-type-unsupported": Words(mark("The request is not valid.")),
    "sign-in-ended": Words(mark("This sign-in has ended. Start again."), is_all=True),
    "sign-in-invalid": Words(mark("Something is missing for the sign-in.")),
    "code-rejected": Words(mark("Garmin did not accept the code. Type it again."), is_all=True),
    "sign-in-rejected": Words(mark("Garmin did not accept the sign-in.")),
    "cool-down": Words(mark("Wait before you sign in again.")),
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
    "rate-limited": Words(mark("Garmin asks to wait. Try again later.")),
    "outcome-unknown": Words(mark("Garmin did not answer. It is safe to send the same again."), is_all=True),
    "internal-error": Words(mark("Something went wrong in the function.")),
    "no-answer": Words(mark("The function does not answer.")),
    "not-the-function": Words(mark("Something else answers in place of the function.")),
}
#: The code of a note or a warning -> the words for it.
NOTES: Mapping[str, Words] = {
    Code.TIME_OF_ARRIVAL: Words(mark("It has no time, so it counts from now."), is_all=True),
    Code.TIME_OF_RECEIPT: Words(mark("It has no time, so the time when it was received counts."), is_all=True),
    Code.TIME_OF_EVENT: Words(mark("It has no time, so the time of the event counts."), is_all=True),
    Code.ZONE_ASSUMED: Words(mark("Its time has no zone.")),
    Code.TIME_OF_RECORD: Words(mark("It has only the time when it was stored.")),
    Code.KEY_NOT_UNDERSTOOD: Words(mark("A name was not understood.")),
    Code.UNIT_DECIDED: Words(mark("The other values show the unit of a value.")),
    Code.HOUR_TWICE: Words(mark("The clock change repeats this hour. The first one counts."), is_all=True),
    Code.HOUR_SKIPPED: Words(mark("The clock change skips this time. The next hour counts."), is_all=True),
    Code.NOT_MEASURED: Words(mark("A value was not measured.")),
    Code.SAID_TWICE: Words(mark("A value is there twice. One of them was left out.")),
    Code.NOT_USED: Words(mark("A value was not used.")),
    Code.NO_PLACE: Words(mark("Garmin does not store everything.")),
    Code.PROBLEM_AT_SOURCE: Words(mark("The scale or its app reports a problem, but not with the weight.")),
    Code.HEIGHT_OF_PERSON: Words(mark("The height is the one that is set for this person."), is_all=True),
    Code.SKELETAL_MUSCLE: Words(
        mark("The skeletal muscle is sent as muscle, as it is set for this person."), is_all=True
    ),
    Code.MUSCLE_LEFT_OUT: Words(mark("The muscle was left out, as it is set for this person.")),
    Code.NOT_RECOGNIZED: Words(mark("A name was not recognized.")),
    Code.LEFT_OUT_IN_DOUBT: Words(mark("A doubtful value was left out.")),
    Code.UNUSUAL: Words(mark("A value is unusual. Is that right?")),
    Code.SAME_WEIGHING: Words(mark("It belongs to a weigh-in that is there already, and adds nothing."), is_all=True),
    Code.COMPLETES_WEIGH_IN: Words(mark("Its values were added to a weigh-in that was there already.")),
    Code.FELL_BACK: Words(mark("The first way did not work, so another was used.")),
    Code.OTHER_FILES_KEPT: Words(mark("A file with other values is there for the same time.")),
    Code.GARMIN_REMARK: Words(mark("Garmin took the file, with a remark.")),
    Code.NOT_SHOWN: Words(mark("Garmin does not show all values.")),
    Code.NOT_VISIBLE_YET: Words(mark("Garmin does not show it yet.")),
    Code.SHOWN_DIFFERENTLY: Words(mark("Garmin shows other values.")),
    Code.LOOK_FAILED: Words(mark("It could not be looked up in Garmin.")),
    Code.PERSONAL_API_FAILED: Words(mark("Garmin's Personal API did not answer.")),
    Code.ENTRIES_UNREADABLE: Words(mark("Garmin lists weigh-ins in a form that is not known.")),
    Code.REPLACED_ENTRY_REMAINS: Words(mark("The old entry is still there.")),
    Code.REPLACED_ENTRY_HAD_MORE: Words(mark("The old entry had values that the new one does not have.")),
}


def in_own_words(words: str, english: str, *, is_all: bool = False) -> str:
    """The function's sentence; in another language the page's words for it, and what the sentence adds to them."""
    if not words or language() is ENGLISH:
        return english
    return words if is_all or not english else f"{words}  \n{english}"


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


def text_of_note(note: Mapping[str, Any]) -> str:
    words = NOTES.get(note["code"], Words(""))
    return in_own_words(_(words.text), note["text"], is_all=words.is_all)


def text_of(answer: Result, english: str = "") -> str:
    """What a problem says. `english`: another sentence of the function for it."""
    return text_of_kind(answer.kind, english or answer.text)


def text_of_kind(kind: str, english: str) -> str:
    words = PROBLEMS.get(kind, Words(""))
    return in_own_words(_(words.text), english, is_all=words.is_all)


def errors_of(answer: Result) -> dict[str, str]:
    """What is wrong with which value, by its name."""
    return {error["field"]: _text_of_error(error) for error in answer.errors}


def _text_of_error(error: Mapping[str, Any]) -> str:
    return in_own_words(_("Check this value."), error["message"])


def show_problem(answer: Result, *, import_by_hand: bool = False) -> None:
    by_hand = _(
        "Until then, download the file and import it by hand on [Garmin's import page]({page}).", page=IMPORT_PAGE
    )
    st.error(f"{text_of(answer)} {by_hand}" if import_by_hand else text_of(answer))
    for error in answer.errors:
        name, text = error["field"], _text_of_error(error)
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
