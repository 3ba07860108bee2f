"""A real Postgres in a temporary folder. If root starts it, it runs as the user postgres, since it refuses root.

with postgres() as server:
    url = server.new_database()        "postgresql://postgres@127.0.0.1:PORT/t1"
    server.restart()
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import trustme

from tests.e2e.parts import find_program
from tests.ports import free_port


class Postgres:
    def __init__(self, folder: Path) -> None:
        versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
        self._pg_ctl = find_program("pg_ctl", *reversed(versions), package="postgresql")
        self._data = folder / "data"
        self._log = folder / "log"
        self._numbers = itertools.count(1)
        self.port = free_port()
        if os.getuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        self._run(self._pg_ctl.with_name("initdb"), "-D", self._data, "-A", "trust", "-U", "postgres", "-E", "UTF8")
        self._options = f"-c listen_addresses=127.0.0.1 -p {self.port} -k {folder}"
        self.start()

    def start(self) -> None:
        self._run(self._pg_ctl, "-D", self._data, "-w", "-l", self._log, "-o", self._options, "start")

    def stop(self) -> None:
        """Stop it at once, as a power cut does; it must recover commits from its log."""
        stop = (self._pg_ctl, "-D", self._data, "-w", "-m", "immediate", "stop")
        try:
            self._run(*stop, "-t", "7")
        except RuntimeError:
            # Up to release 15, it may fall asleep for 60 s before it kills a process that did not end within 5 s.
            # Another signal wakes it.
            self._run(*stop)

    def restart(self) -> None:
        self.stop()
        self.start()

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def require_password(self, role: str) -> None:
        """From now on, this role must sign in with its password."""
        rules = self._data / "pg_hba.conf"
        rules.write_text(f"host all {role} 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
        query(self.url(), "SELECT pg_reload_conf()")

    def use_tls(self) -> Path:
        """From now on, it offers TLS as `localhost`. Returns the certificate to trust."""
        ca = trustme.CA()
        certificate = ca.issue_cert("localhost")
        trusted, chain, key = (self._data.parent / name for name in ("ca.pem", "server.crt", "server.key"))
        ca.cert_pem.write_to_path(trusted)
        chain.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
        key.touch(mode=0o600)
        key.write_bytes(certificate.private_key_pem.bytes())
        if os.getuid() == 0:
            shutil.chown(key, "postgres", "postgres")
        for name, value in (("ssl_cert_file", chain), ("ssl_key_file", key), ("ssl", "on")):
            query(self.url(), f"ALTER SYSTEM SET {name} = '{value}'")
        query(self.url(), "SELECT pg_reload_conf()")
        return trusted

    def require_tls(self, role: str) -> None:
        """From now on, this role must use TLS, and sign in with its password."""
        rules = self._data / "pg_hba.conf"
        only = f"hostssl all {role} all scram-sha-256\nhost all {role} all reject\n"
        rules.write_text(only + rules.read_text())
        query(self.url(), "SELECT pg_reload_conf()")

    def new_database(self, options: str = "") -> str:
        """The address of a new, empty database."""
        name = f"t{next(self._numbers)}"
        query(self.url(), f"CREATE DATABASE {name} {options}")
        return self.url(name)

    def _run(self, program: Path, *arguments: object) -> None:
        command = [str(part) for part in (program, *arguments)]
        as_postgres = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
        # Its output goes to a file: the server would keep a pipe open.
        with self._data.with_name("commands").open("ab") as output:
            done = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, cwd="/", check=False, **as_postgres)  # type: ignore[call-overload]
        if done.returncode:
            raise RuntimeError(f"{program.name} failed: {self._data.with_name('commands').read_text()}")


def query(url: str, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """Run and commit one statement, and return its rows."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(sql.encode(), values or None)
        return cursor.fetchall() if cursor.description else []


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A server on a free local port, deleted at the end."""
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        server = Postgres(Path(folder))
        try:
            yield server
        finally:
            server.stop()
