"""One voice: tests/voice.toml lists what this project does not write, and how much of it is left."""

from __future__ import annotations

import re
import subprocess
import tomllib
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
LIST = ROOT / "tests" / "voice.toml"
VOICE = tomllib.loads(LIST.read_text(encoding="utf-8"))
RULES: list[dict[str, Any]] = VOICE["rule"]


@cache
def lines() -> list[tuple[str, str]]:
    """Every line of every tracked text file, with its place."""
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, check=True, text=True).stdout.split()
    paths = [ROOT / name for name in names if not any(fnmatch(name, skip) for skip in VOICE["skip"])]
    contents = {path: path.read_bytes() for path in paths if path.is_file()}
    return [
        (f"{path.relative_to(ROOT)}:{number}", line)
        for path, content in contents.items()
        if b"\0" not in content  # a text, not a spreadsheet
        for number, line in enumerate(content.decode().splitlines(), 1)
    ]


def hits(rule: dict[str, Any]) -> list[str]:
    """The place and text of each match; of several in one line, each."""
    pattern = re.compile(rule["pattern"], re.IGNORECASE)
    return [
        f"{place}: {match[0]!r} in {line.strip()[:140]}"
        for place, line in lines()
        for match in pattern.finditer(line)
        if not any(part in line for part in rule.get("excused", ()))
    ]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["pattern"])
def test_voice(rule: dict[str, Any]) -> None:
    """No pattern has more hits than its budget, and each excuse is needed."""
    found = hits(rule)
    assert len(found) <= rule["budget"], "\n".join([f"Write instead: {rule['instead']}", *found])
    unused = [part for part in rule.get("excused", ()) if not any(part in line for _, line in lines())]
    assert unused == [], "these excuses excuse nothing"


if __name__ == "__main__":  # lowers each budget to what is left
    counts = [min(len(hits(rule)), rule["budget"]) for rule in RULES]
    for rule, count in zip(RULES, counts, strict=True):
        print(f"{count:5}  {rule['pattern']}")
    left = iter(counts)
    content = re.sub(r"(?m)^budget = \d+", lambda _: f"budget = {next(left)}", LIST.read_text(encoding="utf-8"))
    LIST.write_text(content, encoding="utf-8")
