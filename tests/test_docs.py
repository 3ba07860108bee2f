"""The documents cannot lie: their commands, outputs, tables and links are compared with the program."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import click
import pytest
import yaml

from scripts.docs import demo_ending, plain
from tests.function_client import process
from weighbridge.cli import main
from weighbridge.http.problems import FAULTS
from weighbridge.reading.dialects import DIALECTS
from weighbridge.settings import VARIABLES

ROOT = Path(__file__).parent.parent
REPOSITORY = "https://github.com/weighbridge/weighbridge"
SETTINGS = "docs/reference/settings.md"
#: What a reader may copy a command from.
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "templates/README.md")),
    *(ROOT / name for name in (".env.example", "examples/crontab")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "integrations").glob("*/README.md")),
    *sorted((ROOT / "sdk_fallback").glob("*/README.md")),
]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@cache
def text_of(page: str | Path) -> str:
    """The text of a page, named from the root of the repository."""
    return (ROOT / page).read_text(encoding="utf-8")


def output_of(call: str, page: str) -> str:
    """The fenced block that this call of `scripts.docs` writes into a page."""
    found = re.search(rf"<!-- \[\[\[cog docs\.{re.escape(call)} \]\]\] -->\n```\w+\n(.*?)```", text_of(page), re.DOTALL)
    assert found, f"{page} has no output of {call}"
    return found[1].rstrip()


def test_tables() -> None:
    """The tables of every page are what the program says. `make fix` writes them."""
    pages = map(str, PAGES)
    cog = [sys.executable, "-m", "cogapp", "-p", "from scripts import docs", "--check", "--diff", *pages]
    done = subprocess.run(cog, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("page", "command", "shown"),
    [
        ("README.md", "| python3 -m json.tool | head -4", "printed(4)"),
        ("docs/reference/http.md", "| python3 -m json.tool --no-ensure-ascii", "printed()"),
    ],
)
def test_answer_to_the_example(tmp_path: Path, page: str, command: str, shown: str) -> None:
    """The curl command of a page, run against a new function, prints what the page shows."""
    # Never into the folder that `weighbridge kept deliver` empties.
    assert "$ WEIGHBRIDGE_FOLDER=weighbridge-demo/weigh-ins weighbridge serve" in text_of(page)
    command = f"curl -s -H @$HOME/.weighbridge/key -d @examples/fitdays.json localhost:8080 {command}"
    assert f"\n$ {command}\n" in text_of(page)
    with process({"WEIGHBRIDGE_FOLDER": tmp_path}) as (address, _):
        here = command.replace("localhost:8080", address)
        printed = subprocess.run(here, shell=True, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    assert plain(printed.rstrip()) == plain(output_of(shown, page))


def test_end_of_the_demo() -> None:
    """The demo ends as README shows."""
    assert plain(demo_ending()) == plain(output_of("demo()", "README.md"))


@each_page
def test_make_targets(page: Path) -> None:
    """Every make target that a page names exists."""
    targets = set(re.findall(r"^([a-z0-9-]+):", text_of("Makefile"), re.MULTILINE))
    text = text_of(page)
    named = re.findall(r"`(?:\w+=\S+ )*make ([a-z0-9-]+)", text)
    named += re.findall(r"^ *\$ .*?\bmake ([a-z0-9-]+)", text, re.MULTILINE)
    assert set(named) <= targets


@each_page
def test_commands(page: Path) -> None:
    """Every command of weighbridge that a page names exists, with the options shown."""
    opening = r"(?:`(?:\w+=\S+ )*|^ *\$ .*?|/path/to/|\b(?:run|exec)(?: -\S+)* \w+ )"
    named = re.findall(rf"{opening}weighbridge( [a-z]+(?: -{{0,2}}[a-z][a-z.-]*)*)", text_of(page), re.MULTILINE)
    assert [words for words in named if not leads_somewhere(words.split())] == []


def leads_somewhere(words: list[str]) -> bool:
    """Whether these words name a command, and the options among them are its own."""
    command: click.Command = main
    context = click.Context(main)
    for word in words:
        if word.startswith("-") and word != "-":
            passed_on = command.context_settings.get("ignore_unknown_options")  # Streamlit's
            if not passed_on and not any(word in parameter.opts for parameter in command.params):
                return False
        elif isinstance(command, click.Group):
            found = command.get_command(context, word)
            if found is None:
                return False
            command = found
    return True


@each_page
def test_links(page: Path) -> None:
    """Every link into the repository leads to a file, and its anchor to a heading."""
    links = re.findall(r"\]\((?!https?://|mailto:)([^)\s]+)\)", text_of(page))
    links += [f"{ROOT}/{path}" for path in re.findall(rf"{REPOSITORY}/(?:blob|tree)/main/([^)\s]+)", text_of(page))]
    dead = []
    for link in links:
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            dead.append(link)
    assert dead == []


@cache
def anchors_of(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and mkdocs both make them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def test_settings() -> None:
    """Every setting is in the table of the settings."""
    assert [variable.name for variable in VARIABLES if f"| `{variable.name}` |" not in text_of(SETTINGS)] == []


def test_dialects() -> None:
    """Every format that is understood is named."""
    assert [dialect for dialect in DIALECTS if f"| {dialect} |" not in text_of("docs/reference/readings.md")] == []


def test_faults() -> None:
    """Every problem that the function can answer with is named."""
    slugs = [fault.slug for fault in FAULTS.values()]
    assert [slug for slug in slugs if f"| `{slug}` |" not in text_of("docs/reference/http.md")] == []


@each_page
def test_no_path_of_a_machine(page: Path) -> None:
    """No page shows a path of the machine that generated it."""
    assert str(ROOT) not in text_of(page)


def test_example_of_people() -> None:
    """The example of several people is the file."""
    shown = re.search(
        r"<!-- file: examples/people.toml -->\n.*?\n( *)```toml\n(.*?)```", text_of("docs/several-people.md"), re.DOTALL
    )
    assert shown
    assert re.sub(rf"(?m)^{shown[1]}", "", shown[2]).rstrip() == text_of("examples/people.toml").rstrip()


@pytest.mark.parametrize("form", ["bug", "garmin"])
def test_issue_forms(form: str) -> None:
    """The forms for faults ask for `weighbridge doctor --json`, whose output holds no secret and no measurement."""
    parts = yaml.safe_load(text_of(f".github/ISSUE_TEMPLATE/{form}.yml"))["body"]
    doctor = [part for part in parts if part["attributes"]["label"] == "weighbridge doctor --json"]
    assert [part["attributes"]["render"] for part in doctor] == ["json"]
    assert "no secret and no measurement" in doctor[0]["attributes"]["description"]
