"""Weigh in: type or paste a weigh-in, see what would be sent, send it, see where it arrived.

Strategy: at each change of a field, Streamlit runs the fields alone (a fragment), and by then the typed texts are in
`st.session_state`. So the function is asked first, and each field is drawn with the problem that the function found.
The button to send is always there: a tap on it right after typing also reads the field that was left with it. The rest
of the page is drawn again once something was sent or pasted.

Rule: the time is that of sending, until a person chooses another one. It is fixed when these values are sent for the
first time, so sending the same again is the same weigh-in; other values get a time of their own. A tab that was left
open for a night cannot send today's values as yesterday's.

Rule: after a weigh-in has arrived, the fields are locked until "New weigh-in" empties them.

Rule: a weigh-in that may be several people's, or nobody's, is asked about where the page has no person chosen for it:
a button for each candidate takes the place of the button to send. So is a weight that was typed for the chosen person
and fits only another one. The answer goes along as `?person=`.

Facts (Streamlit 1.67): on a busy machine, a browser may draw a choice before its value has arrived. Then nothing is
chosen there, and the next run gets None. The present value goes along with each drawing as its default.

Weakness: the pickers choose a minute.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, time
from typing import Any, NamedTuple

import streamlit as st

from weighbridge.client import Client, Reply, Result
from weighbridge.notes import Code

from .account import FunctionOf
from .answers import asks_for_a_key, errors_of, in_own_words, show_notes, show_problem, show_warnings
from .browser import in_the_browser, remember, remembered
from .clock import local, moment, to_display, zone
from .values import (
    FIELDS,
    HEIGHT,
    NINE,
    TIME,
    UNITS,
    as_typed,
    formula_of,
    in_unit,
    label_in,
    label_of,
    name_of,
    pasted_reading,
    reading_of,
    written,
)
from .words import ENGLISH, _, language, mark, number

#: In the session: the whole page has to be drawn again, not only the fields.
REDRAW = "draw the whole page"
NOW, ANOTHER = mark("Now"), mark("Another time")
#: A receipt's status, in a person's words.
ARRIVED = {
    "confirmed": mark("Arrived in Garmin"),
    "present": mark("Garmin has it already"),
    "accepted": mark("Garmin took it, and does not show it yet"),
    "kept": mark("Saved as a file to import"),
}


class Sent(NamedTuple):
    """What was sent last: the reading without its time, when it was measured, and the answer."""

    values: str
    at: str
    answer: Reply | None


def show_weigh_in(account: FunctionOf, delivery: Mapping[str, Any], choose: Callable[[str], None]) -> None:
    """`choose` chooses another person on the page."""
    st.session_state.pop(REDRAW, None)
    typed = st.container()
    _paste(account, choose)  # first: it fills the fields
    with typed:
        _type_in(account, delivery)


@st.fragment
def _type_in(account: FunctionOf, delivery: Mapping[str, Any]) -> None:
    """The fields, and what becomes of them. Streamlit runs it alone at each change in it."""
    if st.session_state.pop(REDRAW, False):
        st.rerun()
    state, client = st.session_state, account.client
    who = _who(account)
    if state.get("locked") and "sent" not in state:
        clear()  # what had arrived was corrected or deleted below
    state.setdefault("more", {})
    # Set only then: what is set takes the place of what was chosen meanwhile.
    if not state.get("unit"):
        state["unit"] = remembered("unit", who) or UNITS[0]
    if HEIGHT.key not in state:
        state[HEIGHT.key] = remembered("height", who)

    texts = {field.key: str(state.get(field.key, "")) for field in FIELDS}
    more = state["more"] | ({"person": account.person} if account.person else {})
    empty = not any(texts[field.key].strip() for field in NINE)
    values = json.dumps(reading_of(texts, state["unit"], "", more))
    sent: Sent | None = state.get("sent")
    at = _time_of(values, sent)
    reading = json.dumps(reading_of(texts | {TIME.key: at}, state["unit"], zone().key, more))
    arrived = sent is not None and sent.answer is not None and sent.answer.ok
    state["locked"] = arrived
    if arrived:
        # Streamlit drops what a browser says of a disabled field, even what it said just before.
        for key in (*texts, "unit", "when", "day", "clock"):
            if key in state:
                state[key] = state[key]
    whose = _answered(values)
    checked = None if empty or arrived else client.post(reading, dry_run=True, person=whose)
    other = _who_else(account, texts, at) if checked and checked.ok and not whose else ""
    # Nothing is drawn before that, so that a browser gets all of it at once, and draws it at once.
    fields, when, bar = st.container(key="fields"), st.container(key="when-row"), st.container(key="bar")
    details = st.container(key="details")
    if checked and asks_for_a_key(checked):
        with fields:
            show_problem(checked)
    errors = errors_of(checked) if checked else {}

    with fields:
        _fields(account, errors, locked=arrived)
    with when:
        _when(who, locked=arrived)
        if TIME.key in errors:
            st.error(errors[TIME.key])
    with bar:
        if arrived and sent and sent.answer:
            _arrived(client, reading, whose, sent, details)
        else:
            draft = _Draft(values, at, reading, whose, checked, errors, account.person if other else "", other)
            _ready(client, draft, sent, delivery, details)
    mass = [field.key for field in NINE if field.unit == "mass"]
    # Stones are written with their unit: 12 st 11.5 lb.
    letters = mass if state["unit"] == "st" else []
    in_the_browser([field.key for field in FIELDS if field.key not in letters], letters)
    if said := state.pop("toast", ""):
        st.toast(said, icon=":material/check_circle:")


# -- the fields --------------------------------------------------------------------------------------------


def _fields(account: FunctionOf, errors: Mapping[str, str], *, locked: bool) -> None:
    last, unit = last_weigh_in(account), st.session_state["unit"]
    for field in FIELDS:
        with st.container(key=f"cell {field.key}"):
            known = last.get(field.name)
            st.text_input(
                label_in(field, unit),
                key=field.key,
                disabled=locked,
                autocomplete="off",
                placeholder=_("last {value}", value=in_unit(field, known, unit))
                if isinstance(known, int | float)
                else None,
                on_change=_remember_height if field is HEIGHT else "rerun",
                args=(_who(account),) if field is HEIGHT else None,
            )
            if field.key in errors:
                st.error(errors[field.key])


def last_weigh_in(account: FunctionOf) -> Mapping[str, Any]:
    """The newest entry that the page has seen, or none. It asks nobody for it."""
    question, answer = st.session_state.get("entries", (None, None))
    if question and question[0] == account and isinstance(answer, Reply) and answer.ok and answer.body["readings"]:
        newest: Mapping[str, Any] = answer.body["readings"][-1]
        return newest
    return {}


def _when(who: str, *, locked: bool) -> None:
    state = st.session_state
    if not state.get("when"):
        state["when"] = NOW
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom", key="when-line"):
        st.segmented_control(
            _("Time of the weigh-in"),
            (NOW, ANOTHER),
            default=state["when"],
            required=True,
            format_func=_,
            key="when",
            disabled=locked,
            on_change=_choose_now,
        )
        st.segmented_control(
            _("Unit"),
            UNITS,
            default=state["unit"],
            required=True,
            key="unit",
            disabled=locked,
            on_change=_remember_unit,
            args=(who,),
        )
        if state["when"] == ANOTHER:
            here = datetime.now(zone())
            # One that was cleared starts again.
            state["day"] = state.get("day") or here.date()
            state["clock"] = state.get("clock") or time(here.hour, here.minute)
            st.date_input(_("Day"), key="day", disabled=locked, format=language().picker, width=150)
            st.time_input(_("Time"), key="clock", disabled=locked, step=60, width=110)


def _who(account: FunctionOf) -> str:
    return account.person or str(st.session_state["function of"])


def _choose_now() -> None:
    """The pickers start with the time at which they are opened."""
    for name in ("day", "clock", "exact"):
        st.session_state.pop(name, None)


def _time_of(values: str, sent: Sent | None) -> str:
    """When the values in the fields were measured: as chosen, else when they were first sent, else now."""
    state = st.session_state
    if state.get("when") == ANOTHER and state.get("day") and state.get("clock"):
        shown = (state["day"], state["clock"])
        exact_of, exact = state.get("exact", (None, ""))
        return str(exact) if shown == exact_of else f"{shown[0]} {shown[1]:%H:%M}"
    if sent and sent.values == values:
        return sent.at
    # With its offset: an hour of the autumn has two meanings in the browser's zone.
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _remember_unit(who: str) -> None:
    if unit := st.session_state["unit"]:
        remember("unit", unit, who)


def _remember_height(who: str) -> None:
    remember("height", st.session_state[HEIGHT.key].strip(), who)


# -- sending -----------------------------------------------------------------------------------------------


class _Draft(NamedTuple):
    """What is in the fields, and what the function says of it."""

    values: str
    at: str
    reading: str
    #: The answer to whose it is; "" if that was not asked.
    whose: str
    checked: Reply | None
    errors: Mapping[str, str]
    #: The chosen person, if the weight fits only another one, and that other one; otherwise "".
    chosen: str = ""
    other: str = ""

    @property
    def is_fine(self) -> bool:
        return self.checked is not None and self.checked.ok and not self.other

    @property
    def candidates(self) -> Sequence[str]:
        """Whose it may be, if the page has to ask."""
        if self.other:
            return (self.chosen, self.other)
        return self.checked.candidates if self.checked else ()


def _ready(client: Client, draft: _Draft, sent: Sent | None, delivery: Mapping[str, Any], details: Any) -> None:
    state = st.session_state
    to_folder = delivery.get("name") == "folder"
    failed = sent.answer if sent and sent.values == draft.values else None
    pressed: str = state.pop("pressed", "")
    # What the answer to a question brings to light is seen before it is sent.
    sending = bool(pressed) and draft.is_fine and not (pressed == "answer" and _warns(draft))
    said = st.container(key="said")
    label = _("Save the FIT file") if to_folder else _("Send to Garmin")
    if draft.candidates:
        _ask_whose(draft.candidates, _answer, draft.values)
    else:
        st.button(
            _("Sending …") if sending else label,
            icon="spinner" if sending else None,
            disabled=sending,
            type="primary",
            width="stretch",
            key="send",
            on_click=_press,
            args=("send",),
        )
    has_file = False
    with st.container(horizontal=True, key="also", gap="small"):
        if draft.is_fine and not to_folder:
            has_file = _download(client, draft.reading, draft.whose)
        st.button(_("Clear the fields"), on_click=clear, type="tertiary")
    with said:
        if failed and draft.is_fine and not sending:
            # If the problem is Garmin or its sign-in, the file can still be imported by hand.
            show_problem(failed, import_by_hand=has_file and failed.blame in ("garmin", "owner"))
            if failed.kind == "conflict":
                st.button(_("Replace the entry in Garmin"), on_click=_press, args=("replace",))
        else:
            _say(draft, pressed=bool(pressed))
    if draft.checked and draft.is_fine:
        with details, st.expander(_("What would be sent"), key="what would be sent", on_change="rerun") as preview:
            if preview.open:
                _preview(draft.checked.body)
    if sending:
        _send(client, draft, replace=pressed == "replace")


def _press(way: str) -> None:
    st.session_state["pressed"] = way


def _warns(draft: _Draft) -> bool:
    return draft.checked is not None and bool(draft.checked.body["warnings"])


def _ask_whose(candidates: Sequence[str], answer: Callable[..., None], *args: object) -> None:
    """A button for each person whose weigh-in it may be. `answer` gets these arguments, and the name."""
    with st.container(horizontal=True, key="whose"):
        for name in candidates:
            st.button(name, type="primary", width="stretch", key=f"whose {name}", on_click=answer, args=(*args, name))


def _answer(values: str, name: str) -> None:
    st.session_state["whose"] = (values, name)
    _press("answer")


def _answered(values: str) -> str:
    """Whose these values are, if a person has said so; else ""."""
    of, name = st.session_state.get("whose", ("", ""))
    return str(name) if of == values else ""


def _say(draft: _Draft, *, pressed: bool) -> None:
    checked, unnamed = draft.checked, [name for name in draft.errors if name not in _SHOWN]
    if checked is None:
        if pressed:
            st.warning(_("Nothing was sent: type at least a weight."))
        else:
            st.caption(_("Type at least a weight. A unit that you type counts: 12 st 11.5 lb."))
    elif draft.other:
        _ask_why([_("This weight fits {other}, and not {chosen}.", other=draft.other, chosen=draft.chosen)])
    elif checked.ok:
        show_warnings(checked.body)
        fields: Sequence[Mapping[str, Any]] = checked.body["fields"]
        stored = [name_of(field["name"]) for field in fields if field["fit_field"]]
        others = [name_of(field["name"]) for field in fields if not field["fit_field"] and "derived" not in field]
        others = [name for name in others if name not in (*stored, HEIGHT.key)]  # water may be there in %
        if stored:
            st.caption(_("For Garmin: {names}", names=", ".join(stored)))
        if others:
            st.caption(_("Garmin cannot store: {names}", names=", ".join(others)))
    elif checked.candidates:
        _say_why_it_asks(checked)
    elif unnamed:
        for name in unnamed:
            st.error(f"{name_of(name)}: {draft.errors[name]}" if name else draft.errors[name])
    elif draft.errors:
        st.caption(
            _("Nothing was sent. Correct the marked fields first.") if pressed else _("Correct the marked fields.")
        )
    elif checked.kind != "unauthorized":
        show_problem(checked)


def _who_else(account: FunctionOf, texts: Mapping[str, str], at: str) -> str:
    """The other person, if this weight fits only that one; else "". Asked once for a weight and a day, because the
    function may look for recent weights in Garmin."""
    if not account.person:
        return ""
    state, weight = st.session_state, {key: texts[key] for key in (NINE[0].key,)}
    asked = (account, weight, state["unit"], at[:10])
    if state.get("who else", (None, ""))[0] != asked:
        reading = json.dumps(reading_of(weight | {TIME.key: at}, state["unit"], zone().key, {}))
        answer = account.client.post(reading, dry_run=True)
        state["who else"] = (asked, _of_another(account, answer) if answer.ok else "")
    return str(state["who else"][1])


def _say_why_it_asks(unclear: Result) -> None:
    _ask_why(errors_of(unclear).values())


def _ask_why(reasons: Iterable[str]) -> None:
    question = _("Whose weigh-in is this?")
    st.markdown(f"**{question}**")
    for reason in reasons:
        st.caption(reason)


#: Their problems are shown at them.
_SHOWN = frozenset(field.key for field in FIELDS) | {TIME.key}


def _send(client: Client, draft: _Draft, *, replace: bool) -> None:
    state = st.session_state
    # Its time is fixed before it leaves: whatever happens then, the same values are the same weigh-in.
    state["sent"] = Sent(draft.values, draft.at, None)
    answer = client.post(draft.reading, replace=replace, person=draft.whose)
    state["sent"] = Sent(draft.values, draft.at, answer)
    state.pop("entries", None)
    if answer.ok:
        state["toast"] = _("{values}: done", values=_short(answer.body))
    st.rerun()


def _download(client: Client, reading: str, whose: str) -> bool:
    """Offer the proven file for download. Returns whether there is one."""
    fit = client.fit(reading, person=whose)
    if fit.content:
        st.download_button(
            _("Download the FIT file"),
            fit.content,
            fit.file_name,
            "application/vnd.ant.fit",
            on_click="ignore",
            type="tertiary",
        )
    else:
        show_problem(fit)
    return bool(fit.content)


# -- what became of it -------------------------------------------------------------------------------------


def _arrived(client: Client, reading: str, whose: str, sent: Sent, details: Any) -> None:
    assert sent.answer is not None  # noqa: S101  # it has arrived
    receipt = sent.answer.body
    status = receipt["status"]
    with st.container(key="said"):
        show_as = st.success if status in ("confirmed", "present") else st.info
        parts = [*filter(None, [whose]), _short(receipt), to_display(receipt["measured_at"])]
        if page := receipt.get("import_page"):
            parts.append(_("[Garmin's import page]({page})", page=page))
        show_as(
            f"**{_(ARRIVED[status])}**  \n{' · '.join(parts)}",
            icon=":material/check_circle:" if show_as is st.success else None,
        )
        show_notes(receipt)
    st.button(_("New weigh-in"), type="primary", width="stretch", on_click=clear, key="new")
    with st.container(horizontal=True, key="also", gap="small"):
        _download(client, reading, whose)
    held: Mapping[str, Any] = receipt["garmin"] or {}
    with details:
        if held:
            with st.expander(_("What Garmin shows now"), key="what Garmin shows", on_change="rerun") as shown:
                if not shown.open:
                    return
                st.table(
                    [
                        {_("value"): label_of(k), _("in Garmin"): written(v)}
                        for k, v in held.items()
                        if k != "measured_at"
                    ],
                    hide_index=True,
                )
        else:
            with st.expander(_("What was sent"), key="what was sent", on_change="rerun") as shown:
                if not shown.open:
                    return
                if name := receipt["fit"].get("file_name"):
                    st.markdown(_("The file is `{name}`.", name=name))
                _preview(receipt)


def _short(receipt: Mapping[str, Any]) -> str:
    """The weight and the body fat of a receipt: "81.4 kg, 18.2 % fat"."""
    values, unit = {field["name"]: field["value"] for field in receipt["fields"]}, st.session_state["unit"]
    parts = [f"{in_unit(NINE[0], values['weight_kg'], unit)} {unit}"] if "weight_kg" in values else []
    return ", ".join(
        parts
        + ([_("{percent} % fat", percent=number(values["body_fat_percent"]))] if "body_fat_percent" in values else [])
    )


def _preview(receipt: Mapping[str, Any]) -> None:
    fields: Sequence[Mapping[str, Any]] = receipt["fields"]
    st.table(
        [
            {
                _("value"): label_of(field["name"]),
                _("sent as"): f"{field['fit_field']} {number(field['sent'], 6)}",
                _("derived"): formula_of(field.get("derived", "")),
            }
            for field in fields
            if field["fit_field"]
        ],
        hide_index=True,
        alt=_("The values that would be sent"),
    )
    unmapped = [field for field in fields if not field["fit_field"]]
    if unmapped:
        st.markdown(f"**{_('Not stored by Garmin')}**")
        st.markdown("\n".join(f"- {label_of(f['name'])} {written(f['value'])}{_why(f)}" for f in unmapped))
    show_notes(receipt, warnings=False)


def _why(field: Mapping[str, Any]) -> str:
    """Why Garmin does not store it, in a clause."""
    if not (why := field.get("note", "")):
        return ""
    return ": " + (why if language() is ENGLISH else _("Garmin has no field for it."))


# -- pasting -----------------------------------------------------------------------------------------------


def _paste(account: FunctionOf, choose: Callable[[str], None]) -> None:
    """Fill the fields from a text. What may be several people's, or nobody's, is asked about; another person's than the
    chosen one's is refused."""
    title = _("Paste instead: JSON, or the text of the share screen")
    with st.expander(title, key="paste instead", on_change="rerun") as pasting:
        # What is not open costs time at each change, too.
        if not pasting.open:
            return
        with st.form("paste", border=False):
            text = st.text_area(_("A reading"), key="pasted")
            submitted = st.form_submit_button(_("Fill the fields"))
        if submitted and not text.strip():
            st.session_state.pop("pasted answer", None)
            st.error(_("Paste a reading first: JSON, or the text of the share screen."))
        elif submitted:
            _take(account, pasted_reading(text, zone().key))
        answers: Sequence[Result] | None = st.session_state.get("pasted answer")
        if answers is None:
            return
        if len(answers) != 1:
            text = _(
                "Expected one reading, got {count}. Paste them one at a time, or import them as a file.",
                count=len(answers),
            )
            st.error(text)
            return
        (answer,) = answers
        if asks_for_a_key(answer):
            return
        if answer.candidates:
            _say_why_it_asks(answer)
            # As it was pasted: the field may hold another text by now.
            _ask_whose(answer.candidates, _answer_pasted, account, st.session_state["pasted reading"], choose)
        elif not answer.ok:
            show_problem(answer)
        elif not _has_values(answer):
            # It is a test, or it deletes a weigh-in.
            st.info(in_own_words(_("There is no weigh-in in it."), answer.text))
        elif whose := _of_another(account, answer):
            st.error(
                _("This weigh-in is {person}'s. Choose {person} at the top, and fill the fields again.", person=whose)
            )
        else:
            st.success(_("The fields above are filled."))
            show_notes(answer.body)


def _take(account: FunctionOf, reading: str, whose: str = "") -> None:
    """Ask what this reading is, and fill the fields with it if they can show it."""
    state = st.session_state
    # A list, or a body of another app, may hold several weigh-ins.
    results = account.client.post(reading, dry_run=True, person=whose).each()
    state["pasted answer"], state["pasted reading"] = results, reading
    if len(results) == 1 and _has_values(results[0]) and not _of_another(account, results[0]):
        state.pop("sent", None)
        _fill_from(results[0])


def _answer_pasted(account: FunctionOf, reading: str, choose: Callable[[str], None], name: str) -> None:
    if account.person and name != account.person:
        choose(name)
        account = account._replace(person=name)
    _take(account, reading, name)


def _has_values(checked: Result) -> bool:
    return checked.ok and bool(checked.body["fields"])


def _of_another(account: FunctionOf, checked: Result) -> str:
    """The person that a reading belongs to, if it is not the chosen one; else ""."""
    whose = next((field["value"] for field in checked.body["fields"] if field["name"] == "person"), "")
    return str(whose) if account.person and whose != account.person else ""


def _fill_from(checked: Result) -> None:
    values = {field["name"]: field["value"] for field in checked.body["fields"] if "derived" not in field}
    fill(values, None if Code.TIME_OF_ARRIVAL.code in checked.codes else checked.body["measured_at"])


# -- for the others ----------------------------------------------------------------------------------------


def fill(values: Mapping[str, Any], measured_at: str | None) -> None:
    """Put these values, with the function's names, into the fields. Without a time: now."""
    state = st.session_state
    filled = as_typed(values)
    for field in FIELDS:
        state[field.key] = filled.texts.get(field.key, "")
    state["more"] = filled.more
    _choose_now()
    state["when"] = NOW
    if measured_at:
        at = moment(measured_at).astimezone(zone())
        state["when"] = ANOTHER
        state["day"], state["clock"] = shown = at.date(), time(at.hour, at.minute)
        state["exact"] = (shown, local(measured_at))


def clear() -> None:
    """Empty the fields, for the next weigh-in, which is now."""
    fill({}, None)
    st.session_state.pop(HEIGHT.key)  # it is remembered
    for name in ("sent", "locked", "whose", "pasted reading"):
        st.session_state.pop(name, None)
    if st.session_state.pop("pasted answer", None) is not None:
        st.session_state[REDRAW] = True  # it is drawn below the fields
