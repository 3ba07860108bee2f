"""`make release-check`: everything that a release does, except publish it, from a clean copy of HEAD.

    --tag TAG      it must be `v` and the version, and CHANGELOG.md must have its date
    --no-images    without the images, which take minutes and a container engine (root on Debian)
    --strict       what cannot be checked here is a failure

Writes dist/release (packages/, bills/, changes.md), which is what the workflow publishes, dist/site, and
dist/home_assistant_app.

Rule: only what is committed is checked. What cannot be done here is named and counted.

Strategy: most steps are tests that exist for their own sake, run in the copy. `make check` and all the
other tests are not part of it: the workflow `checks` runs them on every commit.

Weakness: only the workflow, which has a database, looks for vulnerabilities in what an image installs from Debian.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from scripts import audit, release
from weighbridge import __version__

ROOT = Path(__file__).parent.parent
DIST = ROOT / "dist"


class Failed(Exception):
    """What is wrong, or the end of what a program wrote."""


class Outcome(NamedTuple):
    """One line about a step, and what it could not look at."""

    said: str
    skipped: tuple[str, ...] = ()


class Copy:
    """A clean copy of HEAD, and programs that run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for command in (["clone", "--quiet", "--shared", str(ROOT), str(folder)], ["rev-parse", "HEAD"]):
            done = subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S607
            if done.returncode:
                raise Failed(done.stderr)
        self.commit = done.stdout.strip()
        (folder / ".venv-supply").symlink_to(ROOT / ".venv-supply")
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
        places = project["tool"]["pytest"]["ini_options"]["pythonpath"]
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("WEIGHBRIDGE_", "GARMIN_"))},
            "PYTHONPATH": os.pathsep.join(str(folder / place) for place in places),
            "NO_MKDOCS_2_WARNING": "1",
        }

    def python(self, module: str, *arguments: object) -> str:
        """The output of a module of Python that must succeed. Raises `Failed`."""
        done = subprocess.run(
            [sys.executable, "-m", module, *map(str, arguments)],
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Failed(done.stdout[-5000:])
        return done.stdout

    def tests(self, *arguments: str) -> Outcome:
        """Run tests of the copy, and count them. Raises `Failed`."""
        report = self.folder / "tests.xml"
        self.python("pytest", "-p", "no:cacheprovider", f"--junit-xml={report}", *arguments)
        skips = [one.get("message", "") for one in ET.parse(report).iter("skipped")]  # noqa: S314  # ours
        ran = sum(1 for _ in ET.parse(report).iter("testcase")) - len(skips)  # noqa: S314
        return Outcome(f"{ran} tests", tuple(dict.fromkeys(skips)))


def version(tag: str) -> Outcome:
    places = release.places()
    if wrong := [place for place in places if place.version != __version__]:
        raise Failed("\n".join(f"{place.file}:{place.line} names {place.version}" for place in wrong))
    if wrong := release.unknown_places(__version__):
        raise Failed("\n".join(f"{place.file}:{place.line}: scripts/release.py does not know it" for place in wrong))
    if tag and tag != f"v{__version__}":
        raise Failed(f"The tag must be v{__version__}, got {tag}.")
    return Outcome(f"{__version__} in {len(places)} places of {len({place.file for place in places})} files")


def changes(tag: str, root: Path = ROOT) -> Outcome:
    try:
        day, text = release.changes(__version__, root)
    except LookupError as e:
        raise Failed(e.args[0]) from None
    if tag and day == "unreleased":
        raise Failed("The heading of this version in CHANGELOG.md has no date.")
    (DIST / "release" / "changes.md").write_text(f"{text}\n", encoding="utf-8")
    return Outcome(f"{day}, {len(text.splitlines())} lines")


def packages(copy: Copy, another: Copy) -> Outcome:
    built = []
    for one in (copy, another):
        folder = one.folder / "dist"
        one.python("hatchling", "build", "--directory", folder)
        built.append({path.name: path.read_bytes() for path in folder.iterdir()})
    first, second = built
    if first != second:
        differ = [name for name in first | second if first.get(name) != second.get(name)]
        raise Failed(f"Built twice, with different results: {', '.join(differ)}")
    if first.keys() != {f"weighbridge-{__version__}-py3-none-any.whl", f"weighbridge-{__version__}.tar.gz"}:
        raise Failed(f"Expected a wheel and a source distribution of {__version__}, got {', '.join(first)}")
    shutil.copytree(copy.folder / "dist", DIST / "release" / "packages")
    sizes = ", ".join(f"{name} {len(content) / 1e3:.0f} kB" for name, content in sorted(first.items()))
    return Outcome(f"built twice with the same bytes: {sizes}")


def documents(copy: Copy) -> Outcome:
    copy.python("mkdocs", "build", "--quiet", "--strict", "--site-dir", DIST / "site")
    return Outcome(f"{sum(1 for _ in (DIST / 'site').rglob('*.html'))} pages")


def bills(copy: Copy) -> Outcome:
    said = copy.python("scripts.sbom")
    (DIST / "release" / "bills").mkdir()
    for bill in (copy.folder / "dist").glob("*.cdx.json"):
        shutil.copy(bill, DIST / "release" / "bills")
    return Outcome(f"{len(said.splitlines())} bills of materials, valid")


def app(copy: Copy) -> Outcome:
    copy.python("scripts.home_assistant_app")
    shutil.copytree(copy.folder / "dist/home_assistant_app", DIST / "home_assistant_app")
    return copy.tests("tests/test_home_assistant_app.py")


def vulnerabilities() -> Outcome:
    try:
        return Outcome(audit.look_up(os.environ))
    except audit.NoDatabase as e:
        return Outcome("not looked up", (f"there is no database of vulnerabilities here: {e}",))
    except SystemExit as e:
        raise Failed(str(e.code)) from None


class Step(NamedTuple):
    """What is checked, how, and what to do if it fails."""

    name: str
    run: Callable[[], Outcome]
    fix: str


def steps(copy: Copy, another: Copy, tag: str, *, images: bool) -> list[Step]:
    containers = "tests/e2e/test_containers.py"
    found = [
        Step("version", lambda: version(tag), "python -m scripts.release VERSION writes it everywhere."),
        Step("changes", lambda: changes(tag), "python -m scripts.release VERSION dates the heading in CHANGELOG.md."),
        Step("packages", lambda: packages(copy, another), "Find what in the build depends on the place or the time."),
        Step(
            "wheel in an empty environment",
            # Without pipx, which does the same with whatever the index has today. It is in make test-e2e.
            lambda: copy.tests("tests/e2e/test_wheel.py", "-k", "not pipx"),
            "pytest tests/e2e/test_wheel.py shows it.",
        ),
        Step("documents", lambda: documents(copy), "make docs shows it."),
        Step("bills of materials", lambda: bills(copy), "make sbom shows it."),
        Step("app of Home Assistant", lambda: app(copy), "pytest tests/test_home_assistant_app.py shows it."),
        Step(
            "files of Compose",
            lambda: copy.tests("tests/e2e/test_container_files.py", "-k", "not dclint"),
            "pytest tests/e2e/test_container_files.py shows it.",
        ),
        Step(
            "workflows",
            lambda: copy.tests("tests/test_workflows.py", "tests/e2e/test_workflows.py"),
            "pytest tests/test_workflows.py tests/e2e/test_workflows.py shows it.",
        ),
        Step("vulnerabilities", vulnerabilities, "make lock renews the packages."),
    ]
    if images:
        found += [
            Step(
                "wheels for amd64 and arm64",
                lambda: Outcome("; ".join(copy.python("scripts.images", "wheels").splitlines())),
                "python -m scripts.images wheels shows it.",
            ),
            Step(
                "images, read-only and as any user",
                lambda: copy.tests(containers, "-k", "any_user or images or app_of"),
                f"pytest {containers} shows it.",
            ),
        ]
    return found


def take(chosen: Iterable[Step], *, strict: bool, left_out: Sequence[str] = ()) -> int:
    """Take each step, and print a line about it. Returns the exit code."""
    failed, skipped, started = 0, [*left_out], time.monotonic()
    for step in chosen:
        began = time.monotonic()
        try:
            outcome = step.run()
            state = "partly" if outcome.skipped else "ok"
        except Failed as e:
            failed += 1
            state, outcome = "FAILED", Outcome(f"{str(e).strip()}\n  {step.fix}")
        print(f"{state:6} {time.monotonic() - began:6.1f} s  {step.name}: {outcome.said}", flush=True)
        for reason in outcome.skipped:
            print(f"  skipped: {reason}")
        skipped += outcome.skipped
    for reason in left_out:
        print(f"  skipped: {reason}")
    print(f"{failed} failed, {len(skipped)} skipped, {time.monotonic() - started:.0f} s")
    return 1 if failed or (strict and skipped) else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tag", default="")
    parser.add_argument("--no-images", action="store_true")
    parser.add_argument("--strict", action="store_true")
    asked = parser.parse_args()
    for name in ("release", "site", "home_assistant_app"):
        shutil.rmtree(DIST / name, ignore_errors=True)
    (DIST / "release").mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="weighbridge-release-") as folder:
        copy, another = Copy(Path(folder, "weighbridge")), Copy(Path(folder, "another", "weighbridge"))
        print(f"Weighbridge {__version__}, commit {copy.commit[:12]}")
        left_out = ["the images (--no-images)"] if asked.no_images else []
        chosen = steps(copy, another, asked.tag, images=not asked.no_images)
        sys.exit(take(chosen, strict=asked.strict, left_out=left_out))


if __name__ == "__main__":
    main()
