"""The shipped files of the containers pass two linters and explain every setting. No container is started."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

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


def test_images_are_of_this_version() -> None:
    """The images of compose.yaml are of this version."""
    found = re.findall(
        r"^ *image: (?:\$\{WEIGHBRIDGE_IMAGE:-weighbridge\}|weighbridge-form):(\S+)", COMPOSE, re.MULTILINE
    )
    assert found == [__version__] * 2
