"""What the page keeps in the browser and does there: a keyboard with digits, and what is remembered of each person.

Facts (Streamlit 1.67): it has no `inputmode`, so a phone would offer letters for nine numbers, its toasts have no
name, and its own words (Upload, Close) are English. A component runs in the page itself (not in a frame), so its script
reaches them all. It does so again whenever Streamlit draws something again. A session ends two minutes after its
connection, or with the server. The browser gets a new one then, and nobody runs the page in it: what a part of the page
(a fragment) asks for is unknown there, and dropped without a word.

Strategy: what is remembered is in a cookie, which the first run of the page can read, so that nothing is drawn twice.
A script of the page sets it; Streamlit itself cannot.

Rule: the cookie holds names of people, their units and heights, and no other measurement. It is in no address and in no
log.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import unquote

import streamlit as st
from streamlit.components.v2 import component

from .words import _, language, mark

COOKIE = "weighbridge_form_remembers"
#: The longest that a browser keeps a cookie.
KEPT_S = 400 * 86_400

#: Streamlit's own words, in its fields and dialogs.
OWN_WORDS = (
    mark("Press Enter to apply"),
    mark("Press Enter to submit form"),
    mark("Press Ctrl+Enter to submit form"),
    mark("Press ⌘+Enter to submit form"),
    mark("Upload"),
    mark("per file"),
    mark("Close"),
)

_SCRIPT = """
let keyboards = [];
let words = {};
let observer;
function* textsOf(selector) {
  for (const it of document.querySelectorAll(selector)) {
    const texts = document.createTreeWalker(it, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) yield texts.currentNode;
  }
}
// Streamlit's own words, which cannot be set.
function translate(text) {
  for (const [english, own] of Object.entries(words.own)) text = text.replace(english, own);
  return text;
}
function complete() {
  for (const [name, mode] of keyboards) {
    const field = document.querySelector(`.st-key-${name} input`);
    if (field && field.inputMode !== mode) field.inputMode = mode;
  }
  for (const field of document.querySelectorAll(".st-key-correction-fields input")) field.inputMode = "decimal";
  for (const text of textsOf("[data-testid=stFileUploaderDropzone], [data-testid=InputInstructions]")) {
    const translated = translate(text.data);
    if (translated !== text.data) text.data = translated;
  }
  for (const it of document.querySelectorAll("[data-testid=stDialog] button[aria-label=Close]")) {
    it.ariaLabel = words.own.Close;
  }
  for (const toast of document.querySelectorAll("[data-testid=stToast]:not([aria-label])")) {
    toast.removeAttribute("aria-labelledby");
    toast.setAttribute("aria-label", words.toast);
  }
}
export default function ({ data }) {
  ({ keyboards, words } = data);
  document.documentElement.lang = data.language;
  complete();
  observer ??= new MutationObserver(complete);
  observer.observe(document.body, { childList: true, subtree: true });
  if (data.remember) {
    const secure = location.protocol === "https:" ? "; Secure" : "";
    const path = location.pathname.replace(/[^/]*$/, "");
    document.cookie = `${data.cookie}=${encodeURIComponent(data.remember)}; Max-Age=${data.kept_s}; ` +
      `Path=${path}; SameSite=Strict${secure}`;
  }
}
"""

_mount = component("weighbridge_browser", js=_SCRIPT)

#: Says that the connection is back, which runs the whole page.
_CONNECTION = """
let tell;
let observer;
export default function ({ setTriggerValue }) {
  tell = setTriggerValue;
  if (observer) return;
  const app = document.querySelector("[data-testid=stApp]");
  let connected = true;
  observer = new MutationObserver(() => {
    const now = app.dataset.testConnectionState === "CONNECTED";
    if (now && !connected) tell("back", document.querySelector(".st-key-new") ? "arrived" : "typing");
    connected = now;
  });
  observer.observe(app, { attributes: true, attributeFilter: ["data-test-connection-state"] });
}
"""

_mount_connection = component("weighbridge_connection", js=_CONNECTION)


def is_back_after_a_weigh_in() -> bool:
    """Whether the browser has just connected again, and shows a weigh-in that had arrived."""
    with st.container(key="connection"):
        return bool(_mount_connection(key="connected", on_back_change=lambda: None).back == "arrived")


def in_the_browser(decimal: Collection[str], text: Collection[str] = ()) -> None:
    """Give the fields with these keys a keyboard with digits, or letters, and store what is remembered."""
    modes = [(_class_of(key), "decimal") for key in decimal] + [(_class_of(key), "text") for key in text]
    changed = st.session_state.get("remembers more", False)
    remember = json.dumps(_remembered(), separators=(",", ":")) if changed else ""
    _mount(
        key="browser",
        data={
            "keyboards": modes,
            "language": language().tag,
            "words": {"toast": _("What was done"), "own": {text: _(text) for text in OWN_WORDS}},
            "remember": remember,
            "cookie": COOKIE,
            "kept_s": KEPT_S,
        },
    )


def _class_of(key: str) -> str:
    return key.replace(" ", "-")


def remembered(name: str, of: str = "") -> str:
    """What is remembered under this name of this person; "" if nothing is."""
    value = _remembered().get(of, {})
    return str(value.get(name, "")) if isinstance(value, Mapping) else ""


def remember(name: str, value: str, of: str = "") -> None:
    about = _remembered()
    about[of] = {**about[of], name: value} if isinstance(about.get(of), dict) else {name: value}
    st.session_state["remembers more"] = True


def _remembered() -> dict[str, Any]:
    if "remembers" not in st.session_state:
        try:
            found = json.loads(unquote(st.context.cookies.get(COOKIE, "{}")))
        except (ValueError, RecursionError, TypeError):  # Streamlit's AppTest has no cookies
            found = {}
        st.session_state["remembers"] = found if isinstance(found, dict) else {}
    about: dict[str, Any] = st.session_state["remembers"]
    return about
