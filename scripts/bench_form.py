"""Measures what the form costs beyond Streamlit: start-up, opening, and a weigh-in from the first field to the receipt.

Strategy: one browser drives the form and a bare Streamlit page with the same fields and one button that posts to the
same function. The form also asks the function for a preview at each change; the ratio shows that cost.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Browser, BrowserContext, sync_playwright

from tests.e2e.parts.form import streamlit
from tests.e2e.test_form_page import NINE, choose_time, launch, settle, type_in
from weighbridge.client.settings import local_key_path
from weighbridge.local_key import local_key

ROUNDS = 5
TIME = "Time of the weigh-in"
SEND, OUTCOME = "Save the FIT file", "Saved as a file to import"
BARE_PAGE = f"""\
import os

import httpx
import streamlit as st

st.title("Weighbridge")
typed = {{label: st.text_input(label) for label in {[*NINE, TIME]!r}}}
if st.button({SEND!r}):
    reading = {{"weight": typed["Weight (kg)"], "measured_at": typed[{TIME!r}]}}
    headers = {{"X-API-Key": os.environ["WEIGHBRIDGE_KEY"]}}
    if httpx.post(os.environ["WEIGHBRIDGE_URL"], json=reading, headers=headers).json()["status"] == "kept":
        st.header({OUTCOME!r})
"""


#: Playwright's own waits look every half second; this looks at each frame.
FIELD = """() => document.querySelector('input[aria-label="Weight (kg)"]:enabled')"""
SHOWN = "text => document.body.innerText.includes(text)"


class Times(NamedTuple):
    #: From the start of the process to the page.
    start_s: float
    #: From an address to its first field, in a browser that has nothing of the page yet. The server is warm.
    open_s: float
    #: The same, in a browser that has opened the page before.
    open_again_s: float
    #: From nine fields to the outcome, and how much of that the fields take, each of which runs the page once.
    submit_s: float
    fields_s: float


def measure(function: str) -> tuple[Times, Times]:
    """The times of the bare page and of the form."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        bare = Path(folder, "bare.py")
        bare.write_text(BARE_PAGE)
        modules = ["streamlit", "run", str(bare), "--server.headless=true"], ["weighbridge", "form"]
        browser = launch(playwright)
        found: list[list[Times]] = [[], []]
        for round_ in range(ROUNDS):
            for i, module in enumerate(modules):
                at = f"2026-11-22T06:{10 * round_ + i:02d}:00Z"
                found[i].append(_once(browser, module, Path(folder), function, at, is_bare=module is modules[0]))
        browser.close()
    bare_times, form_times = (
        Times(*(statistics.median(column) for column in zip(*times, strict=True))) for times in found
    )
    return bare_times, form_times


def _once(browser: Browser, module: list[str], folder: Path, function: str, at: str, *, is_bare: bool) -> Times:
    started = time.perf_counter()
    key = local_key(local_key_path(os.environ)).get_secret_value()
    with streamlit(module, folder, function, WEIGHBRIDGE_KEY=key) as served:
        page = browser.new_page()
        page.goto(served.address)
        page.wait_for_function(FIELD)
        ready = time.perf_counter()
        settle(page)
        context = browser.new_context()
        open_s, open_again_s = _opening(context, served.address), _opening(context, served.address)
        context.close()
        if is_bare:
            type_in(page, {TIME: at})
        else:
            choose_time(page, at)
        begun = time.perf_counter()
        type_in(page, NINE)
        typed = time.perf_counter()
        page.get_by_role("button", name=SEND).click()
        page.wait_for_function(SHOWN, arg=OUTCOME)
        done = time.perf_counter()
        page.close()
    return Times(ready - started, open_s, open_again_s, done - begun, typed - begun)


def start_imports(function: str) -> tuple[str, str]:
    """What the bare page and the form print about their imports, from the start to the first field."""
    printed = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        bare = Path(folder, "bare.py")
        bare.write_text(BARE_PAGE)
        browser = launch(playwright)
        for module in (["streamlit", "run", str(bare), "--server.headless=true"], ["weighbridge", "form"]):
            with streamlit(module, Path(folder), function, PYTHONPROFILEIMPORTTIME="1") as served:
                page = browser.new_page()
                page.goto(served.address)
                page.wait_for_function(FIELD)
                page.close()
            printed.append(served.log.read_text())
        browser.close()
    return printed[0], printed[1]


def _opening(context: BrowserContext, address: str) -> float:
    page = context.new_page()
    began = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_function(FIELD)
    opened = time.perf_counter()
    page.close()
    return opened - began
