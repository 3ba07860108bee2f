"""The shipped files of the containers pass two linters and explain every setting. No container is started."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
from pathlib import Path, PurePosixPath

from tests.e2e.parts.npm import installed
from weighbridge import __version__

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "compose.yaml").read_text()


def test_hadolint_finds_nothing() -> None:
    """hadolint finds nothing in the Dockerfile."""
    hadolint = Path(sys.executable).with_name("hadolint")
    subprocess.run([hadolint, "--failure-threshold", "style", ROOT / "Dockerfile"], check=True)


def test_dclint_finds_nothing() -> None:
    """dclint finds nothing in compose.yaml."""
    dclint = installed(ROOT / "tests/e2e/compose_linter", "dclint")
    rules = ROOT / "integrations/containers/dclint.yaml"
    subprocess.run([dclint, "--config", rules, "--max-warnings", "0", ROOT / "compose.yaml"], check=True)


def test_env_example_names_each_setting() -> None:
    """The file .env.example names exactly the settings that compose.yaml reads."""
    read = set(re.findall(r"\$\{(\w+)", COMPOSE))
    named = set(re.findall(r"^(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert read | {"COMPOSE_PROFILES"} == named  # Compose itself reads COMPOSE_PROFILES


def test_dockerignore_lets_the_wheel_in(tmp_path: Path) -> None:
    """Every file of the wheel gets into the images; a folder that the list forgets would be missing there alone."""
    subprocess.run([sys.executable, "-m", "hatchling", "build", "--directory", tmp_path], cwd=ROOT, check=True)
    (source,) = tmp_path.glob("*.tar.gz")
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    with tarfile.open(source) as archive:
        names = [PurePosixPath(*Path(name).parts[1:]) for name in archive.getnames()]
    modules = [name for name in names if name.suffix in (".py", ".sql", ".fit", ".mjs", ".typed")]
    assert len(modules) > 50
    assert [str(name) for name in modules if not any(same_place(name, pattern) for pattern in allowed)] == []


def same_place(name: PurePosixPath, pattern: str) -> bool:
    return name.parent == PurePosixPath(pattern).parent and name.match(pattern)


def test_images_are_of_this_version() -> None:
    """The images of compose.yaml are of this version."""
    found = re.findall(
        r"^ *image: (?:\$\{WEIGHBRIDGE_IMAGE:-weighbridge\}|weighbridge-form):(\S+)", COMPOSE, re.MULTILINE
    )
    assert found == [__version__] * 2
