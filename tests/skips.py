"""What a test does if it cannot run here.

Rule: a skip says in one line what is missing and how to get it. With CI set, a skip is a failure (tests/conftest.py),
unless this kind of machine could never run the test. Then the reason begins with `NOT_HERE`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import pytest

from sdk_fallback.errors import NothingAvailable
from sdk_fallback.runners.local_java import LocalJava, jar_from_maven, local_java

NOT_HERE = "not on this machine: "


def unavailable(sentence: str) -> NoReturn:
    """End the test: what it needs is not installed here."""
    pytest.skip(sentence)


def java() -> LocalJava:
    """The Java of this machine, with FitCSVTool; without it, the test is skipped."""
    try:
        return local_java(os.environ, chosen=False)
    except NothingAvailable as missing:
        unavailable(str(missing))


def older_jar(version: str) -> Path:
    """An older FitCSVTool from Maven Central; without Maven, the test is skipped."""
    try:
        return jar_from_maven(os.environ, NothingAvailable, f"com.garmin:fit:{version}")
    except NothingAvailable as missing:
        unavailable(str(missing))
