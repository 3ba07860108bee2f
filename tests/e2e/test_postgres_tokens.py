"""The token in a real Postgres: renewed once among all hosts, committed before it is used, and in no message."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.e2e.parts.postgres import Postgres, postgres, query
from tests.e2e.test_serve import answer_of, serving
from tests.garmin.server import GarminStandIn
from tests.ports import free_port
from weighbridge.client import Client, Target
from weighbridge.compose import token_store
from weighbridge.errors import SettingsInvalid, SignInNeeded, TokenStoreUnusable
from weighbridge.garmin.postgres_tokens import TABLE, PostgresTokenStore
from weighbridge.garmin.tokens import Token, parse_token
from weighbridge.secret import SecretStr
from weighbridge.settings import read_settings

OLD = Token(SecretStr("planted-access-1"), SecretStr("planted-refresh-1"), "client", 1.0)
NEW = Token(SecretStr("planted-access-2"), SecretStr("planted-refresh-2"), "client", 2.0)
KEY = "a-key-of-sixteen-letters"


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as running:
        yield running


@pytest.fixture
def database(server: Postgres) -> str:
    return server.new_database()


def store_of(database: str, name: str = "default") -> PostgresTokenStore:
    return PostgresTokenStore(SecretStr(database), name)


def never(_: Token) -> Token:
    raise AssertionError("Garmin was asked")


def fault_of(store: PostgresTokenStore) -> str:
    with pytest.raises(TokenStoreUnusable) as caught:
        store.refreshed(OLD, never)
    said = "".join(traceback.format_exception(caught.value))
    assert "planted" not in said
    return str(caught.value)


def test_save_and_read(database: str) -> None:
    """A saved token is read back by another host; each name has its own."""
    store = store_of(database)
    assert store.read() is None
    store.save(OLD)
    store.save(NEW)
    assert store_of(database).read() == NEW
    assert store_of(database, "anna").read() is None
    assert abs(store.renewed_at() - time.time()) < 300


def test_forget(database: str) -> None:
    """A sign-out deletes the token for every host that starts."""
    store = store_of(database)
    store.save(OLD)
    store.forget()
    assert store.read() is None
    assert store_of(database).read() is None


def test_renewed_once(database: str) -> None:
    """Of many hosts that meet an old token, one renews it, and all go on with the new one."""
    store_of(database).save(OLD)
    asked = []

    def refresh(token: Token) -> Token:
        asked.append(token)
        return NEW

    hosts = [store_of(database) for _ in range(8)]
    with ThreadPoolExecutor(len(hosts)) as pool:
        assert list(pool.map(lambda host: host.refreshed(OLD, refresh), hosts)) == [NEW] * len(hosts)
    assert asked == [OLD]


def test_a_failed_renewal_changes_nothing(database: str) -> None:
    """If the renewal fails, the old token stays, and the next host is not kept waiting."""
    store_of(database).save(OLD)

    def refused(_: Token) -> Token:
        raise SignInNeeded("refused")

    with pytest.raises(SignInNeeded, match="refused"):
        store_of(database).refreshed(OLD, refused)
    assert store_of(database).refreshed(OLD, lambda _: NEW) == NEW


def test_a_killed_host_keeps_nobody_waiting(database: str) -> None:
    """A host that is killed during a renewal lets go of the token."""
    store_of(database).save(OLD)
    program = (
        "import sys, time; from weighbridge.garmin.postgres_tokens import PostgresTokenStore as Store;"
        "from weighbridge.secret import SecretStr; store = Store(SecretStr(sys.argv[1]));"
        "store.refreshed(store.read(), lambda _: (print('asked', flush=True), time.sleep(600)))"
    )
    with subprocess.Popen([sys.executable, "-c", program, database], stdout=subprocess.PIPE) as host:
        assert host.stdout
        assert host.stdout.readline() == b"asked\n"
        os.kill(host.pid, signal.SIGKILL)
    assert store_of(database).refreshed(OLD, lambda _: NEW) == NEW


def test_token_gone(database: str) -> None:
    """A token that is gone needs a sign-in."""
    with pytest.raises(SignInNeeded, match="gone"):
        store_of(database).refreshed(OLD, never)


def test_damaged(database: str) -> None:
    """What is not a token is not used, and not shown."""
    store_of(database).save(OLD)
    query(database, "UPDATE weighbridge_tokens SET token = 'planted nonsense'")
    assert "is damaged. Sign in again: weighbridge login." in fault_of(store_of(database))


def test_an_account_that_may_not_write(server: Postgres, database: str) -> None:
    """An account that may only read is found before Garmin is asked, and one without the table is named."""
    query(server.url(), "DO $$ BEGIN CREATE ROLE reader LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    reader = database.replace("postgres@", "reader@")
    assert "InsufficientPrivilege, SQLSTATE 42501" in fault_of(store_of(reader))
    query(database, TABLE)
    query(database, "GRANT SELECT ON weighbridge_tokens TO reader")
    store_of(database).save(OLD)
    assert store_of(reader).read() == OLD
    assert "InsufficientPrivilege" in fault_of(store_of(reader))


def test_a_read_only_copy(database: str) -> None:
    """A read-only copy is an obstacle that is seen before the token has to be renewed."""
    store_of(database).save(OLD)
    assert store_of(database).obstacle() == ""
    query(database, f"ALTER DATABASE {database.rpartition('/')[2]} SET default_transaction_read_only = on")
    # Another host: this one has just seen that it can be written.
    other = f"{database}?application_name=other"
    assert "cannot be written: it is a read-only copy" in store_of(other).obstacle()


def test_connection_ended(server: Postgres, database: str) -> None:
    """When Postgres ends its connections, as it does when it restarts, a store goes on with another."""
    store = store_of(database)
    store.save(OLD)
    end = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
    assert query(server.url(), end, database.rpartition("/")[2]) == [(True,)]
    store.save(NEW)
    assert store_of(database).read() == NEW


def test_a_few_connections_for_everyone(database: str) -> None:
    """Two hundred people's tokens are looked at over one connection, which another one's renewal does not hold up."""
    stores = [store_of(database, f"p{number}") for number in range(200)]
    stores[0].save(OLD)
    more = "INSERT INTO weighbridge_tokens SELECT 'p' || n, token FROM weighbridge_tokens, generate_series(1, 199) AS n"
    query(database, more)
    before = sessions(database)

    def look(_: Token) -> Token:
        assert [store.read() for store in stores] == [OLD] * 200
        assert {store.obstacle() for store in stores} == {""}
        return NEW

    assert stores[0].refreshed(OLD, look) == NEW
    assert sessions(database) - before < 10  # those of this test among them


def sessions(database: str) -> int:
    """How many connections were made to the database so far."""
    ((number,),) = query(database, "SELECT sessions FROM pg_stat_database WHERE datname = current_database()")
    return int(number)


def test_database_away(database: str) -> None:
    """A database that is away is named, without user and password."""
    store = store_of("postgresql://planted-user:planted-password@127.0.0.1:1/weighbridge")
    assert "The database 127.0.0.1/weighbridge/default of WEIGHBRIDGE_TOKEN_DATABASE cannot be used" in fault_of(store)
    assert "cannot be used" in store.obstacle()
    with pytest.raises(SettingsInvalid, match="is not an address such as") as caught:
        PostgresTokenStore(SecretStr("postgresql://planted:password@[1"))
    assert "planted" not in str(caught.value)


def test_setting_and_people(database: str) -> None:
    """The setting selects this store, and each person has their own row."""
    settings = read_settings({"WEIGHBRIDGE_TOKEN_DATABASE": database})
    token_store(settings.for_person("anna")).save(OLD)
    assert token_store(settings).read() is None
    assert token_store(settings.for_person("anna")).read() == OLD


def test_three_functions_renew_once(database: str, garmin: GarminStandIn, tmp_path: Path) -> None:
    """Three functions with one token and 50 readings at once: one renewal, none refused, 50 weigh-ins."""
    store_of(database).save(parse_token(json.dumps(garmin.issue_token())))
    garmin.expire_access_tokens()
    before = garmin.state()
    with ExitStack() as stack:
        addresses = []
        for number in range(3):
            folder, port = tmp_path / str(number), free_port()
            folder.mkdir()
            function = stack.enter_context(
                serving(
                    folder,
                    "--port",
                    str(port),
                    WEIGHBRIDGE_DELIVERY="garth",
                    WEIGHBRIDGE_TOKEN_DATABASE=database,
                    WEIGHBRIDGE_API_KEYS=f"home={KEY}",
                    GARMIN_DOMAIN=garmin.domain,
                    GARMIN_CA_BUNDLE=garmin.ca_bundle,
                )
            )
            addresses.append(f"http://127.0.0.1:{port}")
            answer_of(addresses[-1], function)
        clients = [stack.enter_context(Client(Target(address, SecretStr(KEY)))) for address in addresses]

        def weigh(number: int) -> str:
            at = datetime(2026, 11, 1, 7, tzinfo=UTC) + timedelta(hours=number)
            return clients[number % 3].post(json.dumps({"weight_kg": 80.0, "measured_at": at.isoformat()})).status

        with ThreadPoolExecutor(50) as pool:
            assert list(pool.map(weigh, range(50))) == ["confirmed"] * 50
    after = garmin.state()
    assert after["refreshes"] == int(str(before["refreshes"])) + 1
    assert after["refused_refreshes"] == before["refused_refreshes"]
    assert len(garmin.weigh_ins()) == 50
