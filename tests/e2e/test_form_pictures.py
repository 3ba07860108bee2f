"""The pictures of the page in its README show the words of the page."""

from __future__ import annotations

import time
from pathlib import Path

from playwright.sync_api import Browser, Page

from tests.e2e.form_pictures import FOLDER, each_state, words_of
from tests.e2e.test_form_page import chromium

__all__ = ["chromium"]  # a fixture
#: Of one picture, and of all of them.
LARGEST_BYTES, ALL_BYTES = 60_000, 900_000


def test_pictures_show_the_words_of_the_page(chromium: Browser, tmp_path: Path) -> None:
    """Each state of the page has the words that it had when its picture was taken. To take the pictures again:
    python -m tests.e2e.form_pictures"""
    then = {path.stem: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.txt")}
    now: dict[str, str] = {}

    def compare(name: str, page: Page) -> None:
        until = time.monotonic() + 10
        # A busy machine may take a while to draw the last part.
        while (words := words_of(page)) != then.get(name) and time.monotonic() < until:
            page.wait_for_timeout(100)
        now[name] = words

    each_state(compare, chromium, tmp_path)
    assert now == then
    assert sorted(now) == sorted(path.stem for path in FOLDER.glob("*.png"))


def test_pictures_are_small_and_shown() -> None:
    """Each picture is small, and the README shows it."""
    sizes = {path.name: path.stat().st_size for path in FOLDER.glob("*.png")}
    assert {name: size for name, size in sizes.items() if size > LARGEST_BYTES} == {}
    assert sum(sizes.values()) < ALL_BYTES
    readme = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    assert [name for name in sizes if f"pictures/{name}" not in readme] == []
