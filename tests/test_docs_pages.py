"""The site of docs/ is built strictly, and its pages cannot lie: their outputs and readings are tried."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from scripts import docs
from tests import function_client

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").rglob("*.md"))
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it: a dead link or anchor, or a page that the menu lacks, stops it."""
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)]
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(build, cwd=ROOT, env=quiet, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return folder


def test_strict_build(site: Path) -> None:
    """The strict build passes, and the site has its pages, pictures and search."""
    for path in ("index.html", "by-hand/index.html", "reference/http/index.html", "search/search_index.json"):
        assert (site / path).is_file()
    assert (site / "images" / "confirmed.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_from_elsewhere(site: Path) -> None:
    """A page of the site loads no script, picture or style from another host."""
    for page in site.rglob("*.html"):
        tags = re.findall(r"<(?:script|img|iframe|link)\b[^>]*>", page.read_text(encoding="utf-8"))
        loads = [tag for tag in tags if re.search(r'\b(?:src|href)="?https?:', tag)]
        assert loads == [], page


@each_page
def test_first_screen(page: Path) -> None:
    """A page opens with one title and a sentence that says what the reader gets."""
    title, _, first = page.read_text(encoding="utf-8").split("\n")[:3]
    assert title.startswith("# ")
    assert first
    assert first[0] not in "#|<"


def test_length_of_readme() -> None:
    """README is one page, with a picture of the real page on its first screen."""
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 150
    assert "confirmed.png" in "\n".join(lines[:5])


PHONE = (ROOT / "docs" / "phone.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", re.findall(r'cog docs\.answer\("(.*?)"\)', PHONE))
def test_answer_to_a_phone(name: str) -> None:
    """What the page about phones shows as the answer to an app is what the function answers."""
    shown = re.search(rf'cog docs\.answer\("{re.escape(name)}"\) \]\]\] -->\n *```console\n(.*?)```', PHONE, re.DOTALL)
    assert shown
    assert textwrap.dedent(shown[1]).rstrip() == f"$ {docs.posting(name)}\n{docs.summaries_of(name)}"


@pytest.mark.parametrize(
    ("page", "call", "output"),
    [
        ("README.md", "fit()", lambda: docs.fit_of_the_example()),
        ("docs/by-hand.md", 'fit("weigh-in.json")', lambda: docs.fit_of_the_example("weigh-in.json")),
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
