"""Fixtures that several tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.parts.outbox import Outbox, outbox
from tests.e2e.parts.postgres import Postgres, postgres


@pytest.fixture(scope="session")
def database_server() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture
def box(database_server: Postgres, tmp_path: Path) -> Iterator[Outbox]:
    """An outbox with its own database. The test starts its programs; they end after it."""
    with outbox(database_server, tmp_path) as box:
        yield box
