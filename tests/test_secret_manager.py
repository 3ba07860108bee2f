"""The token in Google Secret Manager: renewed once, saved before it is used, and in no message.

Real google-auth over real TLS, as on Cloud Run: credentials from the metadata server.
"""

from __future__ import annotations

import json
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.garmin.server import GarminStandIn
from tests.google.server import BEARER, SECRET, Google, google
from weighbridge.compose import token_store
from weighbridge.errors import SignInNeeded, TokenStoreUnusable
from weighbridge.garmin.secret_manager import LEASE, LEASE_S, SecretTokenStore
from weighbridge.garmin.sessions.garth import GarthSession
from weighbridge.garmin.tokens import Token, parse_token
from weighbridge.secret import SecretStr
from weighbridge.settings import read_settings

OLD = Token(SecretStr("planted-access-1"), SecretStr("planted-refresh-1"), "client", 1.0)
NEW = Token(SecretStr("planted-access-2"), SecretStr("planted-refresh-2"), "client", 2.0)


@pytest.fixture(scope="module")
def one_google() -> Iterator[Google]:
    with google() as cloud:
        yield cloud


@pytest.fixture
def cloud(one_google: Google, monkeypatch: pytest.MonkeyPatch) -> Google:
    """The same cloud for each test, reset."""
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    for name, value in one_google.environment.items():
        monkeypatch.setenv(name, value)
    one_google.forget()
    return one_google


def store_of(cloud: Google) -> SecretTokenStore:
    return SecretTokenStore(SECRET, endpoint=cloud.endpoint)


def holding(cloud: Google, token: Token = OLD) -> SecretTokenStore:
    cloud.versions.append(token.to_json().encode())
    return store_of(cloud)


def fault_of(store: SecretTokenStore) -> str:
    def never(_: Token) -> Token:
        raise AssertionError("Garmin was asked")

    with pytest.raises(TokenStoreUnusable) as caught:
        store.refreshed(OLD, never)
    said = "".join(traceback.format_exception(caught.value))
    assert "planted" not in said
    assert BEARER not in said
    return str(caught.value)


def test_save_and_read(cloud: Google) -> None:
    """A saved token is read back, and the previous version is destroyed."""
    store = store_of(cloud)
    assert store.read() is None
    store.save(OLD)
    store.save(NEW)
    assert store_of(cloud).read() == NEW
    assert cloud.versions[0] is None
    assert store.renewed_at() == 1_795_156_200


def test_read_once(cloud: Google) -> None:
    """The token is read once, and then cached."""
    store = holding(cloud)
    assert [store.read() for _ in range(5)] == [OLD] * 5
    assert len(cloud.asked) == 1


def test_one_process_renews(cloud: Google) -> None:
    """Of many processes one renews, and all use its token."""
    holding(cloud)
    renewed: list[Token] = []

    def renew(token: Token) -> Token:
        renewed.append(token)
        time.sleep(0.1)  # Garmin takes time
        return NEW

    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda _: store_of(cloud).refreshed(OLD, renew), range(4)))
    assert found == [NEW] * 4
    assert renewed == [OLD]
    assert len(cloud.versions) == 2


def test_lease_released(cloud: Google) -> None:
    """The lease is released, and other annotations stay."""
    holding(cloud).refreshed(OLD, lambda _: NEW)
    assert cloud.annotations == {"owner": "anna"}


def test_lease_of_a_killed_process(cloud: Google) -> None:
    """The lease of a killed process ends."""
    holding(cloud)
    cloud.annotations[LEASE] = "somebody 1795000000"
    late = SecretTokenStore(SECRET, endpoint=cloud.endpoint, now=lambda: 1_795_000_001.0)
    assert late.refreshed(OLD, lambda _: NEW) == NEW
    assert LEASE_S < 120


def test_lease_of_another_process(cloud: Google) -> None:
    """A lease that another process holds is waited for."""
    store = holding(cloud)
    cloud.annotations[LEASE] = f"somebody {time.time() + 60:.0f}"
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(store.refreshed, OLD, lambda _: NEW)
        end = time.monotonic() + 60
        while len(cloud.asked) < 2 and time.monotonic() < end:
            time.sleep(0.01)
        assert len(cloud.asked) >= 2
        assert not waiting.done()
        with cloud.lock:
            del cloud.annotations[LEASE]
        assert waiting.result(20) == NEW


def test_no_permission_to_save(cloud: Google) -> None:
    """If the new token could not be saved, Garmin is not asked."""
    store = holding(cloud)
    cloud.permissions.remove("secretmanager.versions.add")
    assert "secretmanager.secretVersionManager" in fault_of(store)


@pytest.mark.parametrize(
    ("end", "status", "words"),
    [
        (SECRET, 403, "lacks permission"),
        (SECRET, 500, "answered with 500"),
        (SECRET, 0, "cannot be reached"),
        ("latest:access", 403, "lacks permission"),
        ("latest:access", 503, "answered with 503"),
        (":testIamPermissions", 0, "cannot be reached"),
    ],
)
def test_faults(cloud: Google, end: str, status: int, words: str) -> None:
    """Each fault is one sentence, and Garmin is not asked."""
    store = holding(cloud)
    cloud.faults[end] = status
    assert words in fault_of(store)


def test_no_secret(cloud: Google) -> None:
    """A missing secret is reported by its name."""
    cloud.exists = False
    assert f"There is no secret {SECRET}" in fault_of(store_of(cloud))


def test_damaged_or_not_a_token(cloud: Google) -> None:
    """A damaged answer, or a secret without a token, is not used."""
    store = holding(cloud)
    cloud.damaged = True
    assert "arrived incomplete" in fault_of(store)
    cloud.damaged = False
    cloud.versions.append(b"planted nonsense")
    assert "does not hold a token. Sign in again: weighbridge login." in fault_of(store)


def test_token_gone(cloud: Google) -> None:
    """A token that is gone needs a sign-in."""
    with pytest.raises(SignInNeeded):
        store_of(cloud).refreshed(OLD, lambda _: NEW)


def test_no_credentials(cloud: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without credentials the message names the fix."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json")
    assert "set GOOGLE_APPLICATION_CREDENTIALS" in fault_of(store_of(cloud))


@pytest.mark.parametrize("name", ["garmin", "projects/a/secrets/", "projects/a/secrets/b/versions/1", "projects/../x"])
def test_invalid_name(name: str) -> None:
    """A text that is not the name of a secret is refused."""
    with pytest.raises(ValueError, match="such as projects/"):
        SecretTokenStore(name)


def test_regional_secret() -> None:
    """A regional secret has an address in its region."""
    store = SecretTokenStore("projects/a/locations/europe-west3/secrets/b")
    assert store._address.startswith("https://secretmanager.europe-west3.rep.googleapis.com/v1/projects/a/locations/")


def test_setting_and_people() -> None:
    """The setting selects this store, and each person has their own secret."""
    settings = read_settings({"WEIGHBRIDGE_TOKEN_SECRET": SECRET})
    assert token_store(settings).place == SECRET
    assert token_store(settings.for_person("anna")).place == f"{SECRET}-anna"


def test_with_garth(cloud: Google, garmin: GarminStandIn) -> None:
    """garth renews the token through this store, and the old refresh token is never used again."""
    first = garmin.issue_token()
    cloud.versions.append(json.dumps(first).encode())
    garmin.expire_access_tokens()
    sessions = [GarthSession(store_of(cloud), domain=garmin.domain, ca_bundle=garmin.ca_bundle) for _ in range(2)]
    gate = threading.Barrier(2)

    def days(session: GarthSession) -> int:
        gate.wait()
        return session.request("GET", "/weight-service/weight/range/2026-11-01/2026-11-02").status

    with ThreadPoolExecutor() as pool:
        assert list(pool.map(days, sessions)) == [200, 200]
    assert cloud.newest
    assert parse_token(cloud.newest.decode()) != parse_token(json.dumps(first))
