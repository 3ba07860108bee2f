"""Writes the version of a release into every file that names it.

    python -m scripts.release VERSION [--date YYYY-MM-DD]

Rule: the version is a fact of function/weighbridge/__init__.py. Where a file has to repeat it (an image tag, a label,
a manifest), it is recognized by what is before it, in any tracked file. A version that is in none of these shapes is an
unknown place, and an error (tests/test_release.py).

Facts: a version looks like 1.2.3 or 1.2.3rc1. PEP 440, Docker's tags and Home Assistant (AwesomeVersion) read both as
they are. The git tag is `v` and the version.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
VERSION = r"\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?"
SOURCE = "function/weighbridge/__init__.py"

#: In any file: a tag of an image, also ${WEIGHBRIDGE_IMAGE:-…}:tag and ${WEIGHBRIDGE_VERSION:-tag}, and a wheel's name.
ANYWHERE = r"\bweighbridge(?:-[a-z]+)*(?:\}?:|-)|\bWEIGHBRIDGE_VERSION:-"
#: In one file alone.
FIELDS = {
    SOURCE: r'^__version__ = "',
    "Dockerfile": r'\bio\.hass\.version="|\bimage\.version="',
    "custom_components/weighbridge/manifest.json": r'^  "version": "',
    "integrations/home_assistant_app/config.yaml": r'^version: "',
    "integrations/home_assistant_app/CHANGELOG.md": r"\A# Changelog\n\n## ",
}
#: Files with versions of other projects: lock files, and the lists of libraries that are watched.
OTHERS = re.compile(
    r"(?:^|/)(?:requirements[\w-]*\.txt|package-lock\.json|go\.(?:mod|sum))$"
    r"|^(?:scripts/upstream\.toml|tests/test_check_upstream\.py)$"
)


class Place(NamedTuple):
    """A version of Weighbridge in a file."""

    file: str
    line: int
    version: str


def texts(root: Path = ROOT) -> Iterator[tuple[str, str]]:
    """Each tracked text file, with its name."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, stdout=subprocess.PIPE, check=True)  # noqa: S607
    for name in filter(None, listed.stdout.decode().split("\0")):
        path = root / name
        if path.is_file() and not path.is_symlink() and not OTHERS.search(name):
            content = path.read_bytes()
            if b"\0" not in content:
                yield name, content.decode()


def shape(file: str) -> re.Pattern[str]:
    """What the version of Weighbridge looks like in this file."""
    before = f"{ANYWHERE}|{FIELDS[file]}" if file in FIELDS else ANYWHERE
    return re.compile(rf"(?P<before>{before})(?P<version>{VERSION})\b", re.MULTILINE)


def places(root: Path = ROOT) -> list[Place]:
    """Every place with a version of Weighbridge, in a shape that is known."""
    return [
        Place(name, text.count("\n", 0, match.start("version")) + 1, match["version"])
        for name, text in texts(root)
        for match in shape(name).finditer(text)
    ]


def unknown_places(version: str, root: Path = ROOT) -> list[Place]:
    """Lines that seem to name this version of Weighbridge, in no shape that is known."""
    alone = re.compile(rf"(?<![\w.-]){re.escape(version)}(?![\w.])|(?<=[/-]){re.escape(version)}\b")
    found = []
    for name, text in texts(root):
        if version not in text:
            continue
        rest = shape(name).sub("", text)
        for number, line in enumerate(rest.splitlines(), 1):
            if alone.search(line) and re.search(r"weighbridge|version", line, re.IGNORECASE):
                found.append(Place(name, number, version))
    return found


def source_version(root: Path = ROOT) -> str:
    found = shape(SOURCE).search((root / SOURCE).read_text(encoding="utf-8"))
    if not found:
        raise LookupError(f"{SOURCE} has no __version__")
    return found["version"]


def changes(version: str, root: Path = ROOT) -> tuple[str, str]:
    """What is in the brackets of this version's heading in CHANGELOG.md, and the text below. Raises `LookupError`."""
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(version)} \(([^)\n]*)\)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if not found:
        raise LookupError(f"CHANGELOG.md has no heading '## {version} (unreleased)' or '## {version} (YYYY-MM-DD)'")
    return found[1], found[2].strip()


def write(version: str, day: date, root: Path = ROOT) -> list[str]:
    """Write the version into each place, and the date into CHANGELOG.md. Returns the files. Raises `LookupError`."""
    log = root / "CHANGELOG.md"
    text, count = re.subn(
        r"(?m)^## \S+ \(unreleased\)$", f"## {version} ({day:%Y-%m-%d})", log.read_text(encoding="utf-8")
    )
    if count != 1:
        raise LookupError(f"CHANGELOG.md must have one heading '## {version} (unreleased)', and has {count}")
    log.write_text(text, encoding="utf-8")
    written = [log.name]
    for name, content in list(texts(root)):
        changed = shape(name).sub(rf"\g<before>{version}", content)
        if changed != content:
            (root / name).write_bytes(changed.encode())
            written.append(name)
    return written


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("version", metavar="VERSION")
    parser.add_argument("--date", type=date.fromisoformat, default=date.today(), metavar="YYYY-MM-DD")  # noqa: DTZ011
    asked = parser.parse_args()
    if not re.fullmatch(VERSION, asked.version):
        sys.exit(f"Expected a version such as 1.2.3 or 1.2.3rc1, got {asked.version!r}.")
    try:
        written = write(asked.version, asked.date)
    except LookupError as e:
        sys.exit(f"{e.args[0]}.")
    print(*(f"Written: {name}" for name in written), sep="\n")
    print(f'Then: make fix, commit "Call it {asked.version}", make release-check TAG=v{asked.version}')


if __name__ == "__main__":
    main()
