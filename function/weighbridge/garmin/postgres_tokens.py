"""The token store for several hosts: a row in a Postgres database, under the same rules as the folder.

Rule: a new token is committed before it is used. Whoever renews it holds the row, and has written to it before Garmin
is asked, so that a database that cannot be written fails first.

Facts: a row that one transaction has changed is locked for every other one until it ends, and it ends when its process
is killed or its connection breaks (PostgreSQL, "Explicit Locking"). A pooler that hands out connections by transaction
keeps that. The table is made at the first use if the account may; otherwise by `TABLE`, once, by somebody else.

Strategy: a new connection costs more than all that it is used for, and `/health` looks at everyone's token. So the
stores of one database share its connections, and keep a few open. One whose server has ended it is not used again.

Weakness: what Garmin has refused is remembered by each process for itself (`sign_in.py`). A commit whose answer is lost
may have lost the new token; then someone has to sign in again.
"""

from __future__ import annotations

import atexit
import contextlib
import select
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from ..commands import DEFAULT_TOKEN, command
from ..errors import SettingsInvalid, SignInNeeded, TokenStoreUnusable
from ..secret import SecretStr
from .tokens import Token, parse_token

TABLE = """\
CREATE TABLE IF NOT EXISTS weighbridge_tokens (
    name text PRIMARY KEY,
    token text NOT NULL,
    renewed_at timestamptz NOT NULL DEFAULT now()
)"""
#: For how long a host may wait for another one that renews: two requests to Garmin with time-outs of 30 s.
LOCK_S = 90
CONNECT_S = 10
#: Connections that are kept open, and for how long without use.
MOST_IDLE, LONGEST_IDLE_S = 2, 60.0
#: How long it counts that a database can be written: it has the tokens of everyone.
WRITABLE_S = 10.0


class _Connections:
    """The connections of this process to one database. Safe to share between threads."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._lock = threading.Lock()
        #: Those without a transaction, the one used last at the end, and when that was.
        self._idle: list[tuple[float, psycopg.Connection[Any]]] = []
        #: When it was last seen that the database can be written.
        self.writable_at = -WRITABLE_S

    @contextlib.contextmanager
    def transaction(self) -> Iterator[psycopg.Connection[Any]]:
        """A transaction on a connection that nobody else uses. Raises `psycopg.Error`."""
        connection = self._kept() or self._new()
        try:
            with connection.transaction():
                # The transaction waits for Garmin, which takes longer than many servers let one wait.
                connection.execute(
                    f"SET LOCAL idle_in_transaction_session_timeout = '{LOCK_S}s'; SET LOCAL lock_timeout = '{LOCK_S}s'"
                )
                yield connection
        except BaseException:
            connection.close()
            raise
        with self._lock:
            self._idle.append((time.monotonic(), connection))
            surplus = [self._idle.pop(0) for _ in range(len(self._idle) - MOST_IDLE)]
        for _, each in surplus:
            each.close()

    def _kept(self) -> psycopg.Connection[Any] | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                used_at, connection = self._idle.pop()
            # A server says nothing unasked, except that it ends the connection.
            ended = connection.closed or select.select([connection], [], [], 0)[0]
            if not ended and time.monotonic() - used_at < LONGEST_IDLE_S:
                return connection
            connection.close()

    def close(self) -> None:
        """Close those that nobody uses. A server logs an error for each that just breaks."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, each in idle:
            each.close()

    def _new(self) -> psycopg.Connection[Any]:
        # prepare_threshold=None: a pooler may run each statement on another connection.
        # tcp_user_timeout: a server that is gone without a word is noticed as soon as one that cannot be reached.
        connection = psycopg.connect(
            self._address,
            autocommit=True,
            connect_timeout=CONNECT_S,
            tcp_user_timeout=1000 * CONNECT_S,
            prepare_threshold=None,
        )
        try:
            if not _exists(connection):
                connection.execute(TABLE)
        except BaseException:
            connection.close()
            raise
        return connection


#: Address -> its connections.
_databases: dict[str, _Connections] = {}
_databases_lock = threading.Lock()


def _connections(address: SecretStr) -> _Connections:
    with _databases_lock:
        text = address.get_secret_value()
        if text not in _databases:
            _databases[text] = _Connections(text)
            atexit.register(_databases[text].close)
        return _databases[text]


class PostgresTokenStore:
    """The token called `name` in the database with this address, such as postgresql://user:password@host/database."""

    def __init__(self, database: SecretStr, name: str = DEFAULT_TOKEN) -> None:
        self.name = name
        self.sign_in = command("login", name)
        self._connections = _connections(database)
        self.place = f"{_place(database)}/{name}"
        self.state_path: Path | None = None
        self._lock = threading.Lock()
        #: The last token seen. If there is a newer one, Garmin refuses this one.
        self._seen: Token | None = None

    def read(self) -> Token | None:
        """The token, or None when nobody has signed in. Raises `TokenStoreUnusable`."""
        if self._seen is None:
            with self._transaction() as database:
                return self._read(database)
        return self._seen

    def renewed_at(self) -> float:
        """When the token was last saved, in Unix seconds. Raises `TokenStoreUnusable`."""
        with self._transaction() as database:
            row = database.execute(
                "SELECT extract(epoch FROM renewed_at)::float8 FROM weighbridge_tokens WHERE name = %s", [self.name]
            ).fetchone()
        if row is None:
            raise TokenStoreUnusable(f"There is no Garmin token in {self.place}. Sign in again: {self.sign_in}.")
        return float(row[0])

    def save(self, token: Token) -> None:
        """Replace the stored token. Raises `TokenStoreUnusable`; then the old one stays."""
        with self._lock:
            with self._transaction() as database:
                database.execute(
                    "INSERT INTO weighbridge_tokens (name, token) VALUES (%s, %s)"
                    " ON CONFLICT (name) DO UPDATE SET token = excluded.token, renewed_at = now()",
                    [self.name, token.to_json()],
                )
            self._seen = token

    def forget(self) -> None:
        """Delete the stored token, if there is one. Raises `TokenStoreUnusable`."""
        with self._lock:
            with self._transaction() as database:
                database.execute("DELETE FROM weighbridge_tokens WHERE name = %s", [self.name])
            self._seen = None

    def refreshed(self, stale: Token, refresh: Callable[[Token], Token]) -> Token:
        """See `TokenStore.refreshed`."""
        with self._lock:
            with self._transaction() as database:
                # This locks the row, and shows that it can be written.
                database.execute("UPDATE weighbridge_tokens SET token = token WHERE name = %s", [self.name])
                current = self._read(database)
                if current is None:
                    raise SignInNeeded(f"The Garmin token is gone. Sign in again: {self.sign_in}.")
                if current != stale:
                    return current
                token = refresh(current)
                database.execute(
                    "UPDATE weighbridge_tokens SET token = %s, renewed_at = clock_timestamp() WHERE name = %s",
                    [token.to_json(), self.name],
                )
            self._seen = token
            return token

    def obstacle(self) -> str:
        """See `TokenStore.obstacle`."""
        if time.monotonic() - self._connections.writable_at < WRITABLE_S:
            return ""
        try:
            with self._transaction() as database:
                row = database.execute("SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool")
                is_read_only = bool((row.fetchone() or [False])[0])
        except TokenStoreUnusable as fault:
            return str(fault)
        if is_read_only:
            return str(self._unusable("cannot be written: it is a read-only copy"))
        self._connections.writable_at = time.monotonic()
        return ""

    def _read(self, database: psycopg.Connection[Any]) -> Token | None:
        row = database.execute("SELECT token FROM weighbridge_tokens WHERE name = %s", [self.name]).fetchone()
        if row is None:
            return None
        try:
            self._seen = parse_token(row[0])
        except SignInNeeded:
            raise TokenStoreUnusable(f"The token in {self.place} is damaged. Sign in again: {self.sign_in}.") from None
        return self._seen

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[psycopg.Connection[Any]]:
        """A transaction. Raises `TokenStoreUnusable`."""
        try:
            with self._connections.transaction() as database:
                yield database
        except psycopg.Error as e:
            # Only the code and its name: the message may hold the address or what was sent.
            reason = f"{type(e).__name__}{f', SQLSTATE {e.sqlstate}' if e.sqlstate else ''}"
            raise self._unusable(f"cannot be used ({reason})") from None

    def _unusable(self, what: str) -> TokenStoreUnusable:
        return TokenStoreUnusable(
            f"The database {self.place} of WEIGHBRIDGE_TOKEN_DATABASE {what}. It must be reachable, and its user must "
            "be allowed to create the table weighbridge_tokens, or to read and change it."
        )


def _exists(database: psycopg.Connection[Any]) -> bool:
    row = database.execute("SELECT to_regclass('weighbridge_tokens') IS NOT NULL").fetchone()
    return bool(row and row[0])


def _place(database: SecretStr) -> str:
    """Where a database is, for messages: without user and password. Raises `SettingsInvalid`."""
    try:
        parts = conninfo_to_dict(database.get_secret_value())
    except psycopg.Error:
        raise SettingsInvalid(
            "WEIGHBRIDGE_TOKEN_DATABASE is not an address such as postgresql://user:password@host/database. Letters "
            "like @ and / in a password are written as %40 and %2F."
        ) from None
    return f"{parts.get('host') or 'localhost'}/{parts.get('dbname') or parts.get('user') or ''}"
