"""The README cannot lie: its commands, its outputs and its tables are held against the program."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from weighbridge.reading.dialects import DIALECTS
from weighbridge.http.problems import FAULTS
from weighbridge.settings import TEMPLATES, VARIABLES
from scripts.readme import TABLES, plain
from tests.function_client import process

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLE = (ROOT / "examples" / "fitdays.json").read_bytes()


def block_after(marker: str) -> str:
    """The fenced block that follows an HTML comment."""
    found = re.search(re.escape(f"<!-- {marker} -->") + r"\n```\w+\n(.*?)```", README, re.DOTALL)
    assert found, f"README has no block for {marker}"
    return found.group(1)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_says_what_the_program_says(name: str) -> None:
    """`python -m scripts.readme` writes them anew."""
    start = README.index(f"<!-- table: {name} -->")
    assert README[start:].startswith(f"<!-- table: {name} -->\n{TABLES[name]()}\n")


def test_the_answer_to_the_example_is_the_one_shown(tmp_path: Path) -> None:
    with process({"WEIGHBRIDGE_FOLDER": tmp_path}) as (address, _):
        done = subprocess.run(
            ["curl", "-s", "-d", f"@{ROOT / 'examples' / 'fitdays.json'}", address], capture_output=True, check=True
        )
    assert plain(json.dumps(json.loads(done.stdout), indent=2, ensure_ascii=False)) == plain(
        block_after("output: curl -d @examples/fitdays.json").rstrip()
    )


def test_every_make_target_named_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`(?:\w+=\S+ )*make ([a-z0-9-]+)", README)) | set(
        re.findall(r"^\$ .*?make ([a-z0-9-]+)", README, re.M)
    )
    assert named
    assert named <= targets


def test_every_link_into_the_repository_leads_somewhere() -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_settings_are_all_in_the_table() -> None:
    for variable in VARIABLES:
        assert f"`{variable.name}`" in README


def test_every_dialect_is_named() -> None:
    for dialect in DIALECTS:
        assert dialect in README, dialect


def test_no_path_of_a_machine_is_written_down() -> None:
    assert str(TEMPLATES.parent.parent) not in README
    assert all(f"urn:weighbridge:{fault.slug}" in README or fault.slug in README for fault in FAULTS.values())


def test_the_example_of_people_is_the_file() -> None:
    shown = re.search(r"<!-- file: examples/people.toml -->\n```toml\n(.*?)```", README, re.DOTALL)
    assert shown
    assert shown[1] == (ROOT / "examples" / "people.toml").read_text(encoding="utf-8")
