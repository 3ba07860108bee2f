"""`make release-check`, its parts that no other test is: the copy of HEAD, two builds, and what is refused."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import release_check
from scripts.release_check import Copy, Failed, Outcome, Step
from weighbridge import __version__

ROOT = Path(__file__).parents[2]


@pytest.fixture
def dist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder instead of dist/."""
    folder = tmp_path / "dist"
    (folder / "release").mkdir(parents=True)
    monkeypatch.setattr(release_check, "DIST", folder)
    return folder


def test_packages_are_reproducible(tmp_path: Path, dist: Path) -> None:
    """Two copies of HEAD give a wheel and a source distribution with the same bytes, and a difference is named."""
    one, two = Copy(tmp_path / "one"), Copy(tmp_path / "two")
    assert "with the same bytes" in release_check.packages(one, two).said
    assert len(list((dist / "release" / "packages").iterdir())) == 2
    (two.folder / "LICENSE").write_text("Another")
    with pytest.raises(Failed, match="with different results: weighbridge-"):
        release_check.packages(Copy(tmp_path / "three"), two)


def test_what_is_not_committed_is_not_checked(tmp_path: Path) -> None:
    """The copy has the files of the commit, and no other."""
    copy = Copy(tmp_path / "copy")
    listed = subprocess.run(
        ["git", "ls-tree", "-r", "--name-only", "HEAD"], cwd=ROOT, stdout=subprocess.PIPE, check=True
    )
    there = {str(path.relative_to(copy.folder)) for path in copy.folder.rglob("*") if path.is_file()}
    assert {name for name in there if not name.startswith(".git/")} == set(listed.stdout.decode().split())


def test_tests_are_counted(tmp_path: Path) -> None:
    """Tests that ran are counted, a skipped one is said, and one that fails is a failure."""
    copy = Copy(tmp_path / "copy")
    test = copy.folder / "tests" / "test_new.py"
    skip = "import pytest\n@pytest.mark.parametrize('n', range(4))\ndef test_one(n):\n    if n == 3: pytest.{}\n"
    test.write_text(skip.format("skip('not on this machine: a scale')"))
    assert copy.tests(str(test)) == Outcome("3 tests", ("not on this machine: a scale",))
    test.write_text(skip.format("fail('no scale')"))
    with pytest.raises(Failed, match="no scale"):
        copy.tests(str(test))


@pytest.mark.parametrize("tag", [__version__, "v9.9.9", f"v{__version__}.1"])
def test_tag_is_the_version(tag: str) -> None:
    """A tag that is not `v` and the version is refused."""
    assert release_check.version("").said == release_check.version(f"v{__version__}").said
    with pytest.raises(Failed, match=f"must be v{__version__}"):
        release_check.version(tag)


def test_changes_are_dated_before_a_tag(tmp_path: Path, dist: Path) -> None:
    """Without a tag the changes may be unreleased; with one, their heading has a day. They become the notes."""
    (tmp_path / "CHANGELOG.md").write_text(
        f"# Changelog\n\n## {__version__} (unreleased)\n\nNew.\n\n## 0.0.1\n\nOld.\n"
    )
    assert release_check.changes("", tmp_path).said == "unreleased, 1 lines"
    assert (dist / "release" / "changes.md").read_text() == "New.\n"
    with pytest.raises(Failed, match="has no date"):
        release_check.changes(f"v{__version__}", tmp_path)


@pytest.mark.parametrize(
    ("outcome", "strict", "code", "said"),
    [
        (Outcome("3 tests"), True, 0, "0 failed, 0 skipped"),
        (Outcome("3 tests", ("no scale",)), False, 0, "0 failed, 1 skipped"),
        (Outcome("3 tests", ("no scale",)), True, 1, "  skipped: no scale\n"),
        (Failed("no scale"), False, 1, "no scale\n  Buy one.\n"),
    ],
)
def test_end(
    capsys: pytest.CaptureFixture[str], outcome: Outcome | Failed, *, strict: bool, code: int, said: str
) -> None:
    """A failure ends with 1 and says the fix; what was skipped is said and counted, and fails only if that is asked."""

    def run() -> Outcome:
        if isinstance(outcome, Failed):
            raise outcome
        return outcome

    assert release_check.take([Step("scale", run, "Buy one.")], strict=strict) == code
    assert said in capsys.readouterr().out


def test_what_is_left_out_is_skipped() -> None:
    """What is left out on purpose counts as skipped, too."""
    assert release_check.take([], strict=False, left_out=["the images"]) == 0
    assert release_check.take([], strict=True, left_out=["the images"]) == 1
