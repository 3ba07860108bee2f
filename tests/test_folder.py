"""The folder keeps a file whole or not at all, once, and says so when it cannot."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from weighbridge.delivery.folder import Folder
from weighbridge.errors import FolderUnusable
from weighbridge.fit.encode import encode
from weighbridge.fit.template import read_template
from weighbridge.fit.verify import VerifiedFit
from weighbridge.pipeline import prove
from weighbridge.reading.reading import Reading
from weighbridge.resources import TEMPLATES

TEMPLATE = read_template((TEMPLATES / "weight_scale.fit").read_bytes())
READING = Reading(measured_at=datetime(2026, 11, 23, 6, 31, tzinfo=UTC), weight_kg=Decimal("81.4"))


def proven(readings: Sequence[Reading]) -> VerifiedFit:
    return prove(TEMPLATE, [encode(reading) for reading in readings])


def test_a_kept_file_is_the_proven_one_and_nothing_else_is_there(tmp_path: Path) -> None:
    outcome = Folder(tmp_path / "new" / "folder").deliver([READING], proven, replace=False)[READING]
    (file,) = (tmp_path / "new" / "folder").iterdir()
    assert file.name == outcome.file_name
    assert file.read_bytes() == outcome.fit.content
    assert file.stat().st_mode & 0o077 == 0, "a weigh-in is nobody else's business"


def test_no_name_of_a_file_tells_a_measurement(tmp_path: Path) -> None:
    outcome = Folder(tmp_path).deliver([READING], proven, replace=False)[READING]
    assert "81" not in (outcome.file_name or "").replace(outcome.fit.sha256[:12], "")


FULL = """
    import resource, sys
    from tests.test_folder import READING, proven
    from weighbridge.delivery.folder import Folder
    from weighbridge.errors import FolderUnusable
    from pathlib import Path
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))
    try:
        Folder(Path(sys.argv[1])).deliver([READING], proven, replace=False)
    except FolderUnusable as fault:
        print(fault)
"""


def test_a_file_that_does_not_fit_leaves_nothing_behind(tmp_path: Path) -> None:
    """The kernel refuses the write in the middle (RLIMIT_FSIZE), as it does when a disk is full."""
    done = subprocess.run(
        [sys.executable, "-B", "-c", textwrap.dedent(FULL), tmp_path / "kept"],
        check=True, capture_output=True, text=True, cwd=Path(__file__).parent.parent,
    )  # fmt: skip
    assert "cannot take a file" in done.stdout
    assert list((tmp_path / "kept").iterdir()) == []


def test_a_path_that_is_no_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "occupied").touch()
    folder = Folder(tmp_path / "occupied")
    with pytest.raises(FolderUnusable, match="occupied"):
        folder.deliver([READING], proven, replace=False)
    assert folder.health()["ready"] is False
