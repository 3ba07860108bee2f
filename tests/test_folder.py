"""The folder keeps a file once, whole or not at all, and says so if it cannot."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from weighbridge.delivery.folder import Folder
from weighbridge.errors import FolderUnusable
from weighbridge.fit.template import read_template
from weighbridge.pipeline import Prover
from weighbridge.reading.reading import Reading
from weighbridge.resources import TEMPLATES

TEMPLATE = read_template((TEMPLATES / "weight_scale.fit").read_bytes())
READING = Reading(measured_at=datetime(2026, 11, 23, 6, 31, tzinfo=UTC), weight_kg=Decimal("81.4"))


proven = Prover(TEMPLATE)


def test_keeps_exactly_the_proven_file(tmp_path: Path) -> None:
    """The folder holds exactly the proven bytes, under the reported name, readable only by their owner."""
    outcome = Folder(tmp_path / "new" / "folder").deliver([READING], proven, replace=False)[READING]
    (file,) = (tmp_path / "new" / "folder").iterdir()
    assert file.name == outcome.file_name
    assert file.read_bytes() == outcome.fit.content
    assert file.stat().st_mode & 0o077 == 0, "only its owner may read a weigh-in"


def test_name_holds_no_measurement(tmp_path: Path) -> None:
    """The name of a kept file contains no measurement."""
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


def test_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    """A write that the kernel refuses in the middle (RLIMIT_FSIZE), as on a full disk, leaves nothing behind."""
    done = subprocess.run(
        [sys.executable, "-B", "-c", textwrap.dedent(FULL), tmp_path / "kept"],
        check=True, capture_output=True, text=True, cwd=Path(__file__).parent.parent,
    )  # fmt: skip
    assert "cannot take a file" in done.stdout
    assert list((tmp_path / "kept").iterdir()) == []


def test_path_is_a_file(tmp_path: Path) -> None:
    """A path that is not a folder is named in the fault, and health is not ready."""
    (tmp_path / "occupied").touch()
    folder = Folder(tmp_path / "occupied")
    with pytest.raises(FolderUnusable, match="occupied"):
        folder.deliver([READING], proven, replace=False)
    assert folder.health()["ready"] is False
