"""check_upstream reports each change in our libraries, and nothing else."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from scripts.check_upstream import KNOWN, Library, NotFetched, Wheel, look, main, read_known, read_wheel

SOURCE = '''
LIMIT: int = 200
URL = "https://example.org"

class Client(Base):
    def request(self, method, path, *, retries=3, **more):
        """Sends it."""
        return self.session.request(method, path)
'''
KNOWN_TEXT = """
[library]
python = "3.11"
version = "1.0.0"
[library.names]
"library/http.py:Client" = "{client}"
"library/http.py:Client.request" = "{request}"
"library/http.py:LIMIT" = "{limit}"
"""


def wheel(source: str = SOURCE, version: str = "1.0.0") -> Wheel:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("library/http.py", source)
        archive.writestr("library-1.0.0.dist-info/METADATA", "Name: library")
    return read_wheel(f"library-{version}-py3-none-any.whl", file.getvalue())


@pytest.fixture
def known(tmp_path: Path) -> Path:
    path = tmp_path / "upstream.toml"
    names = {"client": "Client", "request": "Client.request", "limit": "LIMIT"}
    path.write_text(KNOWN_TEXT.format(**{key: look(wheel(), f"library/http.py:{name}") for key, name in names.items()}))
    return path


def ask(known: Path, found: Wheel, *more: str) -> int:
    return main(["--known", str(known), *more], fetch=lambda _library: found)


def test_unchanged_library(known: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A library without changes exits with 0, even if it has a new version."""
    assert ask(known, wheel()) == 0
    assert ask(known, wheel(version="1.1.0")) == 0
    assert capsys.readouterr().out == ("library 1.0.0: unchanged\nlibrary 1.0.0, and 1.1.0 is out: unchanged\n")


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("retries=3, **more", "retries=3", "Client.request was (self, method, path, retries, **more)\n"),
        ("method, path, *", "path, method, *", "and is (self, path, method, retries, **more)"),
        ("return self", "return 3 + self", "Client.request has a new body: review it"),
        ("def request", "def send", "Client.request is gone"),
        ("class Client(Base)", "class Client", "Client was class(Base)"),
        ("200", "20", "LIMIT was LIMIT: int = 200"),
        ("class Client", "class Other", "Client is gone"),
    ],
)
def test_each_kind_of_change(
    known: Path, capsys: pytest.CaptureFixture[str], before: str, after: str, words: str
) -> None:
    """Each kind of change is named, and the exit code is 1."""
    assert ask(known, wheel(SOURCE.replace(before, after))) == 1
    said = capsys.readouterr().out
    assert "library 1.0.0: changed" in said
    assert words in said


def test_write_accepts_changes(known: Path) -> None:
    """After --write, a change is known and no longer reported."""
    changed = wheel(SOURCE.replace("200", "100"), version="2.0.0")
    assert ask(known, changed) == 1
    assert ask(known, changed, "--write") == 0
    assert ask(known, changed) == 0
    assert read_known(known.read_text())[0].version == "2.0.0"


def test_unreachable_index(known: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A failed download exits with 2: it is neither a change nor an all-clear."""

    def fetch(_library: Library) -> Wheel:
        raise NotFetched("no network")

    assert main(["--known", str(known)], fetch=fetch) == 2
    assert "library could not be downloaded: no network" in capsys.readouterr().err


def test_every_known_name_exists() -> None:
    """Every name in upstream.toml was found when the file was written."""
    libraries = read_known(KNOWN.read_text())
    assert {library.name for library in libraries} >= {"garth-ng", "garminconnect", "fitdecode"}
    for library in libraries:
        assert all(library.names.values()), library.name
