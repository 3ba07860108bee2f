"""The shipped files of the containers, without a container: two linters, and the settings that they explain."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.e2e.parts.npm import installed
from weighbridge import __version__

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "compose.yaml").read_text()


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    subprocess.run([hadolint, "--failure-threshold", "style", ROOT / "Dockerfile"], check=True)


def test_dclint_finds_nothing_in_the_compose_file() -> None:
    dclint = installed(ROOT / "tests/e2e/compose_linter", "dclint")
    rules = ROOT / "integrations/containers/dclint.yaml"
    subprocess.run([dclint, "--config", rules, "--max-warnings", "0", ROOT / "compose.yaml"], check=True)


def test_the_example_of_settings_names_each_that_compose_reads() -> None:
    read = set(re.findall(r"\$\{(\w+)", COMPOSE))
    told = set(re.findall(r"^(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert read | {"COMPOSE_PROFILES"} == told  # which Compose itself reads


def test_our_images_are_of_this_version() -> None:
    found = re.findall(
        r"^ *image: (?:\$\{WEIGHBRIDGE_IMAGE:-weighbridge\}|weighbridge-form):(\S+)", COMPOSE, re.MULTILINE
    )
    assert found == [__version__] * 2
