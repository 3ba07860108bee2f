"""The version is one: `scripts/release.py` finds and writes every place that names it."""

from __future__ import annotations

import shutil
import subprocess
from datetime import date
from pathlib import Path

import pytest

from scripts import release
from weighbridge import __version__

FAR, DAY = "9.9.9rc1", date(2030, 1, 31)


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources in which the next version has been released."""
    root = tmp_path_factory.mktemp("release") / "checkout"
    for name, _ in release.texts():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(release.ROOT / name, root / name)
    track(root)
    log = root / "CHANGELOG.md"
    text = log.read_text(encoding="utf-8")
    if "(unreleased)" not in text:
        log.write_text(text.replace("\n## ", "\n## next (unreleased)\n\nNew.\n\n## ", 1), encoding="utf-8")
    release.write(FAR, DAY, root)
    return root


def track(root: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    subprocess.run(["git", "add", "--all", "--force"], cwd=root, check=True)


def test_every_place_names_the_version() -> None:
    """Each image tag, label, manifest and document names the version of the package."""
    stale = [place for place in release.places() if place.version != __version__]
    assert stale == [], "python -m scripts.release writes them"


def test_each_field_is_found() -> None:
    """Each file whose version has a shape of its own has one there."""
    found = {place.file for place in release.places()}
    assert release.FIELDS.keys() - found == set()
    assert {"compose.yaml", "docs/home-assistant.md", "integrations/containers/stacks/page.yaml"} <= found


def test_no_place_is_unknown() -> None:
    """No file names the version in a shape that a release would not find."""
    assert release.unknown_places(__version__) == []


@pytest.mark.parametrize(
    "line", ["FROM example.com/weighbridge@{}", 'VERSION = "{}"', "weighbridge/{}", "weighbridge=={}"]
)
def test_unknown_place_is_found(tmp_path: Path, line: str) -> None:
    """A version in another shape is found, with its line."""
    (tmp_path / "new.yaml").write_text(f"image: weighbridge:{FAR}\n{line.format(FAR)}\n")
    track(tmp_path)
    assert release.unknown_places(FAR, tmp_path) == [("new.yaml", 2, FAR)]


def test_release_writes_every_place(released: Path) -> None:
    """After a release every place names the new version, and no file names the earlier one as ours."""
    assert release.source_version(released) == FAR
    assert release.places(released) == [place._replace(version=FAR) for place in release.places()]
    assert release.unknown_places(__version__, released) == []


def test_release_dates_the_changes(released: Path) -> None:
    """The heading of what was not released gets the version and the day, once."""
    day, text = release.changes(FAR, released)
    assert day == "2030-01-31"
    assert text
    with pytest.raises(LookupError, match="must have one heading"):
        release.write("9.9.9", DAY, released)


def test_changes_of_the_version() -> None:
    """CHANGELOG.md has a heading for the version, and something below it."""
    assert release.changes(__version__)[1]


@pytest.mark.parametrize("version", ["v1.0.0", "1.0", "1.0.0-rc1", "1.0.0.rc1", "1.0.0+1"])
def test_other_version_is_refused(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that PEP 440, Docker or Home Assistant would read in another way is refused."""
    monkeypatch.setattr("sys.argv", ["release", version])
    with pytest.raises(SystemExit, match="Expected a version such as"):
        release.main()
