"""The pages in docs/ cannot lie: their links into the repository, their outputs and their readings are tried."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from scripts import docs
from tests import function_client

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").rglob("*.md"))
REPOSITORY = "https://github.com/weighbridge/weighbridge"
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@each_page
def test_repository_links(page: Path) -> None:
    """Each link to a file on GitHub is a file here; mkdocs sees only links between pages."""
    links = re.findall(rf"{REPOSITORY}/(?:blob|tree)/main/([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (ROOT / link).exists()] == []


@each_page
def test_first_screen(page: Path) -> None:
    """A page opens with one title and a sentence that says what the reader gets."""
    title, _, first = page.read_text(encoding="utf-8").split("\n")[:3]
    assert title.startswith("# ")
    assert first
    assert first[0] not in "#|<"


@pytest.mark.parametrize(
    ("page", "call", "output"),
    [
        ("README.md", "fit()", lambda: docs.fit_of_the_example()),
        ("docs/by-hand.md", "fit()", lambda: docs.fit_of_the_example()),
        ("docs/reference/http.md", "printed()", lambda: docs.printed_by_json_tool()),
    ],
)
def test_output(page: str, call: str, output: docs.Output) -> None:
    """What a page shows is what the program prints today. `OUTPUTS=new make fix` writes it."""
    text = (ROOT / page).read_text(encoding="utf-8")
    shown = re.search(rf"cog docs\.{re.escape(call)} \]\]\] -->\n *```\w+\n(.*?)```", text, re.DOTALL)
    assert shown
    assert docs.plain(textwrap.dedent(shown[1]).rstrip()).endswith(docs.plain(output().rstrip()))


def test_readings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each JSON block that is a reading, or a list of readings, is taken."""
    http: FlaskClient = function_client.client(monkeypatch, WEIGHBRIDGE_FOLDER=tmp_path)
    texts = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    blocks = re.findall(r'^ *```json\n(\s*(?:\[\s*)?\{\s*"weight".*?)```', texts, re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 3
    for block in blocks:
        answer = http.post("/readings?dry_run=true", json=json.loads(block))
        assert answer.status_code == 200, (block, answer.json)


def test_markers_of_the_copied_examples() -> None:
    """The blocks that the end-to-end tests run carry a comment by which they are found."""
    page = (ROOT / "docs" / "home-assistant.md").read_text(encoding="utf-8")
    for marker in (
        "step: packages",
        "example: script",
        "example: phone",
        "example: discovery",
        "card",
        "example: form",
    ):
        assert re.search(rf"<!-- {marker} -->\n *```", page), marker
