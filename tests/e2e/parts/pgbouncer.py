"""A real PgBouncer in front of a database, which hands out connections by transaction, as hosts of databases do."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.e2e.parts import find_program, is_listening, wait_until
from tests.ports import free_port

CONFIG = """
[databases]
{database} = host=127.0.0.1 port={server} user=postgres

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
logfile = {folder}/pgbouncer.log
"""


@contextmanager
def pgbouncer(database: str, folder: Path) -> Iterator[str]:
    """The address of this database behind PgBouncer."""
    program = find_program("pgbouncer", Path("/usr/sbin"), package="pgbouncer")
    folder.mkdir()
    port, parts = free_port(), urlsplit(database)
    name = parts.path.removeprefix("/")
    (folder / "pgbouncer.ini").write_text(CONFIG.format(database=name, server=parts.port, port=port, folder=folder))
    as_user: list[str] = []
    if os.getuid() == 0:  # it refuses root, and its folder is only for the one who tests
        folder.chmod(0o777)
        for parent in folder.parents[:-2]:
            parent.chmod(parent.stat().st_mode | 0o011)
        as_user = ["--user", "postgres"]
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen([program, *as_user, folder / "pgbouncer.ini"], stdout=said, stderr=said)
    try:
        wait_until("PgBouncer listens", lambda: process.poll() is not None or is_listening(port))
        assert process.poll() is None, (folder / "said").read_text()
        yield f"postgresql://postgres@127.0.0.1:{port}/{name}"
    finally:
        process.terminate()
        process.wait()
