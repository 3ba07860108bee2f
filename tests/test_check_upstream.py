"""The look at our libraries: it sees what changed, and is silent about what did not."""

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


def test_a_library_that_is_as_we_know_it_is_silent_also_under_a_new_number(
    known: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(known, wheel()) == 0
    assert ask(known, wheel(version="1.1.0")) == 0
    assert capsys.readouterr().out == ("library 1.0.0: as we know it\nlibrary 1.0.0, and 1.1.0 is out: as we know it\n")


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("retries=3, **more", "retries=3", "Client.request was (self, method, path, retries, **more)\n"),
        ("method, path, *", "path, method, *", "and is (self, path, method, retries, **more)"),
        ("return self", "return 3 + self", "Client.request does something else: read it"),
        ("def request", "def send", "Client.request is gone"),
        ("class Client(Base)", "class Client", "Client was class(Base)"),
        ("200", "20", "LIMIT was LIMIT: int = 200"),
        ("class Client", "class Other", "Client is gone"),
    ],
)
def test_each_kind_of_change_is_named(
    known: Path, capsys: pytest.CaptureFixture[str], before: str, after: str, words: str
) -> None:
    assert ask(known, wheel(SOURCE.replace(before, after))) == 1
    said = capsys.readouterr().out
    assert "library 1.0.0: changed" in said
    assert words in said


def test_what_somebody_has_looked_at_is_taken_for_known(known: Path) -> None:
    changed = wheel(SOURCE.replace("200", "100"), version="2.0.0")
    assert ask(known, changed) == 1
    assert ask(known, changed, "--write") == 0
    assert ask(known, changed) == 0
    assert read_known(known.read_text())[0].version == "2.0.0"


def test_an_index_that_cannot_be_reached_is_no_change_and_no_all_clear(
    known: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fetch(_library: Library) -> Wheel:
        raise NotFetched("no network")

    assert main(["--known", str(known)], fetch=fetch) == 2
    assert "library could not be looked up: no network" in capsys.readouterr().err


def test_each_name_that_is_known_was_found_when_it_was_written() -> None:
    libraries = read_known(KNOWN.read_text())
    assert {library.name for library in libraries} >= {"garth-ng", "garminconnect", "fitdecode"}
    for library in libraries:
        assert all(library.names.values()), library.name
