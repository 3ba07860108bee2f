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

from playwright.sync_api import Browser, expect, sync_playwright

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


class Times(NamedTuple):
    #: From the start of the process to the page.
    start_s: float
    #: From an address to its first field, in a browser that has nothing of the page yet. The server is warm.
    open_s: float
    #: From nine fields to the outcome.
    submit_s: float


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
        page.get_by_label("Weight (kg)", exact=True).wait_for()
        settle(page)
        ready = time.perf_counter()
        open_s = _opening(browser, served.address)
        if is_bare:
            type_in(page, {TIME: at})
        else:
            choose_time(page, at)
        begun = time.perf_counter()
        type_in(page, NINE)
        page.get_by_role("button", name=SEND).click()
        page.get_by_text(OUTCOME).first.wait_for()
        done = time.perf_counter()
        page.close()
    return Times(ready - started, open_s, done - begun)


def _opening(browser: Browser, address: str) -> float:
    page = browser.new_page()
    began = time.perf_counter()
    page.goto(address, wait_until="commit")
    expect(page.get_by_label("Weight (kg)", exact=True)).to_be_editable(timeout=30_000)
    opened = time.perf_counter()
    page.close()
    return opened - began
