"""The page: type or paste a weigh-in, see what would become of it, send it; look back, take back, correct.

Strategy: Streamlit runs `show` from its top at each change. What was typed is in `st.session_state` by then, so the
function is asked first, and each field is drawn with what the function said of it. What costs Garmin a request is asked
once, and kept in the session until something was changed.

Rule: every value on the page is one that a person typed or that the function answered; trouble is told in its words.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import streamlit as st

from .charts import draw
from .client import Answer, Function
from .clock import local, now, told, zone
from .history import show_history
from .values import FIELDS, HEIGHT, KEYS, NINE, TIME, UNITS, Field, people_of, reading_of, shared, typed

IMPORT_PAGE = "https://connect.garmin.com/app/import-data"
#: From here on the banner asks for a new sign-in.
DAYS_OF_WARNING = 7
SPANS = {"1 month": 30, "3 months": 91, "1 year": 365}
#: Problems after which the proven file can still be brought in by hand.
BY_HAND = ("sign-in-needed", "garmin-refused", "garmin-unreachable", "rate-limited", "not-connected")
ROWS = 10


def show() -> None:
    st.set_page_config("Weighbridge", page_icon="⚖️", layout="centered")
    st.title("Weighbridge", anchor=False)
    function = _function()
    health = function.health()
    _banner(health)
    if not health.body.get("status"):
        return
    if people := list(health.body.get("delivery", {}).get("people", ())):
        name = st.segmented_control(
            "Who?", people, required=True, default=people[0], key="of the house", on_change=_clear
        )
        function = replace(function, person=name)
    _weigh_in(function)
    _look_back(function)


# -- who ---------------------------------------------------------------------------------------------------


def _function() -> Function:
    """The function of the person who was chosen, with the key that was typed for it."""
    people = people_of(os.environ.get("WEIGHBRIDGE_URL") or "http://127.0.0.1:8080")
    name = next(iter(people))
    if len(people) > 1:
        name = st.segmented_control("Who?", list(people), required=True, default=name, key="person", on_change=_clear)
    if f"asks {name}" in st.session_state:
        st.text_input(
            "Key of the function",
            type="password",
            autocomplete="current-password",
            key=f"key {name}",
            on_change=_forget,
        )
    return Function(people[name], st.session_state.get(f"key {name}", "").strip())


def _asks_for_a_key(answer: Answer) -> bool:
    """Whether a key is missing or wrong. The first time, the page is drawn anew, with the field for it."""
    if answer.kind != "unauthorized":
        return False
    name = st.session_state.get("person") or next(iter(people_of(os.environ.get("WEIGHBRIDGE_URL") or "-")))
    if f"asks {name}" not in st.session_state:
        st.session_state[f"asks {name}"] = True
        st.rerun()
    return True


def _banner(health: Answer) -> None:
    delivery = health.body.get("delivery", {})
    if not health.body.get("status"):
        st.error(health.words)
    elif not delivery.get("ready"):
        st.error(f"{delivery.get('detail', 'The function is not ready.')} Until then, {_by_hand()}")
    elif (days := delivery.get("token_days_left")) is not None and days < DAYS_OF_WARNING:
        st.warning(f"The sign-in to Garmin ends in {days:g} days. `make refresh` renews it, `make login` begins anew.")


def _by_hand() -> str:
    return f"download the file and bring it in by hand on [Garmin's import page]({IMPORT_PAGE})."


# -- a weigh-in --------------------------------------------------------------------------------------------


def _weigh_in(function: Function) -> None:
    state = st.session_state
    state.setdefault(TIME.key, now())
    state.setdefault("more", {})
    correcting: str | None = state.get("correcting")
    st.header("Correct a weigh-in" if correcting else "Weigh in", anchor=False)
    if correcting:
        st.info(
            f"You are correcting the weigh-in of {told(correcting)}. The new one is confirmed before the old one goes."
        )
    else:
        _paste(function)

    texts = {key: str(state.get(key, "")) for key in KEYS}
    more = state["more"] | ({"person": function.person} if function.person else {})
    reading = json.dumps(reading_of(texts, state.get("unit") or "kg", zone(), more))
    empty = not any(texts[field.key].strip() for field in NINE)
    checked = None if empty else function.check(reading)
    if checked and _asks_for_a_key(checked):
        st.error(checked.words)
    errors = {error["field"]: error["message"] for error in (checked.body.get("errors", []) if checked else [])}

    st.segmented_control("Unit where none is typed", UNITS, default="kg", required=True, key="unit")
    for start in range(0, len(NINE), 3):
        for column, field in zip(st.columns(3), NINE[start : start + 3], strict=True):
            with column:
                _field(field, errors)
    for column, field in zip(st.columns([1, 2]), (HEIGHT, TIME), strict=True):
        with column:
            _field(field, errors, fixed=field is TIME and correcting is not None)
    for name, message in errors.items():
        if name not in KEYS:
            st.error(f"{name}: {message}" if name else message)

    with st.container(horizontal=True):
        if checked and checked.ok:
            _send(function, reading, replace=correcting is not None)
            _download(function, reading)
        st.button("Leave it as it was" if correcting else "Clear the fields", on_click=_clear)
    sent = _outcome(function, reading)
    if checked and checked.ok and not sent:
        _preview(checked.body)
    elif checked and not checked.ok and not errors and checked.kind != "unauthorized":
        st.error(checked.words)
    elif empty:
        st.markdown(
            "Type at least a weight: with comma or point, and with a unit where it is another (`12 st 11.5 lb`)."
        )


def _field(field: Field, errors: Mapping[str, str], *, fixed: bool = False) -> None:
    unit = f" ({field.unit})" if field.unit not in ("", "mass") else ""
    label = {HEIGHT.key: "Height, for the BMI (cm)", TIME.key: "Time of the weigh-in"}.get(
        field.key, field.label + unit
    )
    st.text_input(label, key=field.key, disabled=fixed, autocomplete="off")
    if field.key in errors:
        st.error(errors[field.key])


def _paste(function: Function) -> None:
    with st.expander("Paste instead: JSON, or the text of the share screen"):
        with st.form("paste", border=False):
            text = st.text_area("A reading", key="pasted")
            taken = st.form_submit_button("Take over")
        if taken and text.strip():
            asked = function.check(text if text.lstrip()[0] in "{[" else json.dumps(shared(text)))
            st.session_state["pasted answer"] = asked
            if asked.ok and "results" not in asked.body:
                _take_over(asked.body)
        answer: Answer | None = st.session_state.get("pasted answer")
        if answer is None or _asks_for_a_key(answer):
            return
        if "results" in answer.body:
            st.error("This is more than one reading. Paste them one at a time.")
        elif not answer.ok:
            _problem(answer)
        else:
            st.success("Taken over into the fields below.")
            _remarks(answer.body)


def _take_over(receipt: Mapping[str, Any]) -> None:
    values = {field["name"]: field["value"] for field in receipt["fields"] if "derived" not in field}
    # Without a time of its own the moment of arrival would count; the page's own time is the better one.
    timed = not any("No time was given" in note for note in receipt["notes"])
    _fill(values, local(receipt["measured_at"]) if timed else now())


def _send(function: Function, reading: str, *, replace: bool) -> None:
    label = "Replace it in Garmin" if replace else "Send to Garmin"
    if not st.button(label, type="primary"):
        return
    with st.spinner("Sent. It is being looked for in Garmin …"):
        answer = function.send(reading, replace=replace)
    _keep(reading, answer)
    st.rerun()


def _keep(reading: str, answer: Answer) -> None:
    st.session_state["sent"] = (reading, answer)
    st.session_state.pop("looked", None)
    if answer.ok:
        st.session_state.pop("correcting", None)


def _download(function: Function, reading: str) -> None:
    fit = function.fit(reading)
    if fit.ok:
        st.download_button(
            "Download the FIT file", fit.content, fit.file_name, "application/vnd.ant.fit", on_click="ignore"
        )
    else:
        _problem(fit)


def _outcome(function: Function, reading: str) -> bool:
    """What became of the reading in the fields, if it was sent; and whether it arrived."""
    sent, answer = st.session_state.get("sent", ("", None))
    if answer is None or sent != reading:
        return False
    if not answer.ok:
        _problem(answer)
        if answer.kind == "conflict" and st.button("Replace what Garmin holds"):
            with st.spinner("Sent. It is being looked for in Garmin …"):
                _keep(reading, function.send(reading, replace=True))
            st.rerun()
        return False
    receipt = answer.body
    show_as = st.success if receipt["status"] in ("confirmed", "present") else st.info
    show_as(f"**{receipt['status']}** · {receipt['summary']}")
    for warning in receipt["warnings"]:
        st.warning(warning)
    if page := receipt.get("import_page"):
        st.markdown(f"The file is `{receipt['fit']['file_name']}`. Bring it in on [Garmin's import page]({page}).")
    if held := receipt["garmin"]:
        st.markdown("What Garmin shows, read back:")
        st.table(
            [{"value": _words(k), "in Garmin": str(v)} for k, v in held.items() if k != "measured_at"], hide_index=True
        )
    return True


def _preview(receipt: Mapping[str, Any]) -> None:
    st.subheader("What would be sent", anchor=False)
    fields: Sequence[Mapping[str, Any]] = receipt["fields"]
    st.table(
        [
            {
                "value": _words(field["name"]),
                "sent as": f"{field['fit_field']} {field['sent']:g}",
                "derived": field.get("derived", "").replace("_", " "),
            }
            for field in fields
            if field["fit_field"]
        ],
        hide_index=True,
        alt="The values that would be sent",
    )
    homeless = [field for field in fields if not field["fit_field"]]
    if homeless:
        st.markdown("**No home in Garmin**")
        st.markdown("\n".join(f"- {_words(f['name'])} {f['value']}: {f.get('note', '')}" for f in homeless))
    _remarks(receipt)


def _remarks(receipt: Mapping[str, Any]) -> None:
    notes = list(receipt["notes"])
    if receipt["unknown"]:
        notes.append(f"Nobody knows: {', '.join(receipt['unknown'])}.")
    for note in notes:
        st.info(note)


def _problem(answer: Answer) -> None:
    words = answer.words
    if answer.kind in BY_HAND:
        words += f" Until then, {_by_hand()}"
    st.error(words)
    for error in answer.body.get("errors", []):
        st.error(f"{error['field']}: {error['message']}" if error["field"] else error["message"])
    for name, title in (("ours", "This reading"), ("theirs", "What Garmin holds")):
        values = answer.body.get(name, [])
        for entry in values if isinstance(values, list) else [values]:
            parts = [f"{_words(key)} {value}" for key, value in entry.items() if key not in ("id", "measured_at")]
            st.markdown(f"{title}: {', '.join(parts)}")


# -- looking back ------------------------------------------------------------------------------------------


def _look_back(function: Function) -> None:
    st.header("Trend", anchor=False)
    span = st.segmented_control("Of the last", list(SPANS), default="1 month", required=True, key="span")
    answer = _looked(function, SPANS[span])
    if _asks_for_a_key(answer) or not answer.ok:
        _problem(answer)
        return
    if said := st.session_state.pop("told", ""):
        st.success(said)
    rows: list[Mapping[str, Any]] = answer.body["readings"]
    if rows:
        draw(rows)
        _table(function, rows)
    else:
        st.markdown("Garmin holds no weigh-in of these days.")
    show_history(function.address, function.key, function.person)


def _looked(function: Function, days: int) -> Answer:
    """What Garmin holds, asked once for each question."""
    last = datetime.now(UTC).date() + timedelta(days=1)
    question = (function, last, days)
    asked, answer = st.session_state.get("looked", (None, None))
    if asked != question or not isinstance(answer, Answer):
        with st.spinner("Garmin is being asked …"):
            answer = function.readings((last - timedelta(days=days)).isoformat(), last.isoformat())
        st.session_state["looked"] = (question, answer)
    return answer


def _table(function: Function, rows: Sequence[Mapping[str, Any]]) -> None:
    st.header("Weigh-ins", anchor=False)
    shown: int = st.session_state.get("rows", ROWS)
    for row in list(reversed(rows))[:shown]:
        _row(function, row)
    if len(rows) > shown and st.button(f"Show {min(ROWS, len(rows) - shown)} more"):
        st.session_state["rows"] = shown + ROWS
        st.rerun()


def _row(function: Function, row: Mapping[str, Any]) -> None:
    id_, when = str(row["id"]), told(row["measured_at"])
    parts = [f"{row[name]:g} {unit}" for name, unit in _SHORT.items() if name in row]
    with st.container(border=True, key=f"row-{id_.replace('.', '-')}"):
        st.markdown(f"**{when}** · {' · '.join(parts)}")
        with st.container(horizontal=True):
            if st.session_state.get("sure") != id_:
                # The time is in the label, because a screen reader's list of buttons shows nothing else.
                st.button(f"Correct {when}", key=f"correct {id_}", on_click=_correct, args=(row,))
                st.button(f"Take back {when}", key=f"back {id_}", on_click=_ask_if_sure, args=(id_,))
            else:
                st.button("Keep it", key=f"keep {id_}", on_click=_ask_if_sure, args=("",))
                if st.button("Yes, take it back", key=f"sure {id_}", type="primary"):
                    _take_back(function, id_, when)


_SHORT = {
    "weight_kg": "kg",
    "body_fat_percent": "% fat",
    "muscle_mass_kg": "kg muscle",
    "body_water_percent": "% water",
    "bone_mass_kg": "kg bone",
    "visceral_fat_rating": "visceral fat",
}


def _take_back(function: Function, id_: str, when: str) -> None:
    answer = function.take_back(id_)
    if not answer.ok and answer.kind != "not-found":
        _problem(answer)
        return
    st.session_state["told"] = f"The weigh-in of {when} was taken back."
    for name in ("sure", "sent", "looked"):
        st.session_state.pop(name, None)
    st.rerun()


# -- what a click changes ----------------------------------------------------------------------------------


def _correct(row: Mapping[str, Any]) -> None:
    _fill(row, local(row["measured_at"]))
    st.session_state["correcting"] = row["measured_at"]


def _ask_if_sure(id_: str) -> None:
    st.session_state["sure"] = id_


def _fill(values: Mapping[str, Any], time: str) -> None:
    state = st.session_state
    taken = typed(values)
    for field in FIELDS:
        state[field.key] = taken.texts.get(field.key, "")
    state[TIME.key] = time
    state["more"] = taken.more


def _clear() -> None:
    """Empty fields and the present moment: the next weigh-in."""
    _fill({}, now())
    for name in ("correcting", "sent", "pasted answer", "sure", "looked"):
        st.session_state.pop(name, None)


def _forget() -> None:
    """What was answered before is asked anew."""
    for name in ("looked", "pasted answer"):
        st.session_state.pop(name, None)


# -- words -------------------------------------------------------------------------------------------------


def _words(name: str) -> str:
    """`body_fat_percent` -> body fat %."""
    stem, _, unit = name.rpartition("_")
    known = {"kg": " (kg)", "percent": " (%)", "kcal": " (kcal)", "years": " (years)", "cm": " (cm)"}
    return stem.replace("_", " ") + known[unit] if unit in known else name.replace("_", " ")
