"""The documents cannot lie: their commands, outputs and tables are compared with the program."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from scripts.docs import demo_ending, plain
from tests.function_client import process
from weighbridge.cli import main
from weighbridge.http.problems import FAULTS
from weighbridge.reading.dialects import DIALECTS
from weighbridge.settings import VARIABLES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
#: What a reader may copy a command from.
PAGES = [
    *(ROOT / "README.md", ROOT / "templates" / "README.md", ROOT / ".env.example", ROOT / "examples" / "crontab"),
    *(ROOT / "integrations").glob("*/README.md"),
    *(ROOT / "sdk_fallback").glob("*/README.md"),
]


def output_of(function: str) -> str:
    """The fenced block that this function of `scripts.docs` writes."""
    found = re.search(rf"<!-- \[\[\[cog docs\.{function}\(\) \]\]\] -->\n```\w+\n(.*?)```", README, re.DOTALL)
    assert found, f"README has no output of {function}"
    return found[1].rstrip()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_tables_of_a_page_are_what_the_program_says(page: Path) -> None:
    """`make fix` writes them."""
    cog = [sys.executable, "-m", "cogapp", "-p", "from scripts import docs", "--check", "--diff", str(page)]
    done = subprocess.run(cog, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_answer_to_the_example_is_the_one_shown(tmp_path: Path) -> None:
    with process({"WEIGHBRIDGE_FOLDER": tmp_path}) as (address, _):
        done = subprocess.run(
            ["curl", "-s", "-d", f"@{ROOT / 'examples' / 'fitdays.json'}", address], capture_output=True, check=True
        )
    answer = json.dumps(json.loads(done.stdout), indent=2, ensure_ascii=False)
    assert plain(answer) == plain(output_of("answer"))


def test_the_demo_ends_as_shown() -> None:
    assert plain(demo_ending()) == plain(output_of("demo"))


def test_every_make_target_named_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        named = set(re.findall(r"`(?:\w+=\S+ )*make ([a-z0-9-]+)", text)) | set(
            re.findall(r"^\$ .*?make ([a-z0-9-]+)", text, re.MULTILINE)
        )
        assert named <= targets, page


def test_every_command_of_weighbridge_named_exists() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        named = re.findall(r"(?:`(?:\w+=\S+ )*|^\$ .*?|/path/to/)weighbridge((?: [a-z-]+)+)", text, re.MULTILINE)
        for words in named:
            assert leads_somewhere(words.split()), (page, words)


def leads_somewhere(words: list[str]) -> bool:
    """Whether these words name a command, and the options among them are its own."""
    command: click.Command = main
    context = click.Context(main)
    for word in words:
        if word.startswith("-"):
            if word != "--help" and not any(word in parameter.opts for parameter in command.params):
                return False
        elif isinstance(command, click.Group):
            found = command.get_command(context, word)
            if found is None:
                return False
            command = found
    return True


def test_every_link_into_the_repository_leads_somewhere() -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_settings_are_all_in_the_table() -> None:
    for variable in VARIABLES:
        assert f"`{variable.name}`" in README


def test_every_dialect_and_every_fault_is_named() -> None:
    for dialect in DIALECTS:
        assert dialect in README, dialect
    for fault in FAULTS.values():
        assert f"`{fault.slug}`" in README, fault.slug


def test_no_path_of_a_machine_is_written_down() -> None:
    assert str(ROOT) not in README


def test_the_example_of_people_is_the_file() -> None:
    shown = re.search(r"<!-- file: examples/people.toml -->\n```toml\n(.*?)```", README, re.DOTALL)
    assert shown
    assert shown[1] == (ROOT / "examples" / "people.toml").read_text(encoding="utf-8")
