"""The token in Google Secret Manager: renewed once, saved before it is used, and no secret in a sentence.

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
from pydantic import SecretStr

from tests.garmin.server import GarminStandIn
from tests.google.server import BEARER, SECRET, Google, google
from weighbridge.compose import token_store
from weighbridge.errors import SignInNeeded, TokenStoreUnusable
from weighbridge.garmin.secret_manager import LEASE, LEASE_S, SecretTokenStore
from weighbridge.garmin.sessions.garth import GarthSession
from weighbridge.garmin.tokens import Token, parse_token
from weighbridge.settings import read_settings

OLD = Token(SecretStr("planted-access-1"), SecretStr("planted-refresh-1"), "client", 1.0)
NEW = Token(SecretStr("planted-access-2"), SecretStr("planted-refresh-2"), "client", 2.0)


@pytest.fixture(scope="module")
def one_google() -> Iterator[Google]:
    with google() as cloud:
        yield cloud


@pytest.fixture
def cloud(one_google: Google, monkeypatch: pytest.MonkeyPatch) -> Google:
    """The same cloud for each test, as if new."""
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


def test_what_was_saved_is_read_back_and_the_version_before_is_destroyed(cloud: Google) -> None:
    store = store_of(cloud)
    assert store.read() is None
    store.save(OLD)
    store.save(NEW)
    assert store_of(cloud).read() == NEW
    assert cloud.versions[0] is None
    assert store.renewed_at() == 1_795_156_200


def test_the_token_is_read_once_and_then_remembered(cloud: Google) -> None:
    store = holding(cloud)
    assert [store.read() for _ in range(5)] == [OLD] * 5
    assert len(cloud.asked) == 1


def test_of_many_processes_one_renews_and_all_go_on_with_its_token(cloud: Google) -> None:
    holding(cloud)
    renewed: list[Token] = []

    def renew(token: Token) -> Token:
        renewed.append(token)
        time.sleep(0.1)  # as long as Garmin takes
        return NEW

    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda _: store_of(cloud).refreshed(OLD, renew), range(4)))
    assert found == [NEW] * 4
    assert renewed == [OLD]
    assert len(cloud.versions) == 2


def test_the_lease_leaves_other_annotations_alone_and_is_given_back(cloud: Google) -> None:
    holding(cloud).refreshed(OLD, lambda _: NEW)
    assert cloud.annotations == {"owner": "anna"}


def test_a_lease_of_a_killed_process_ends(cloud: Google) -> None:
    holding(cloud)
    cloud.annotations[LEASE] = "somebody 1795000000"
    late = SecretTokenStore(SECRET, endpoint=cloud.endpoint, now=lambda: 1_795_000_001.0)
    assert late.refreshed(OLD, lambda _: NEW) == NEW
    assert LEASE_S < 120


def test_a_lease_that_another_holds_is_awaited(cloud: Google) -> None:
    store = holding(cloud)
    cloud.annotations[LEASE] = f"somebody {time.time() + 60:.0f}"
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(store.refreshed, OLD, lambda _: NEW)
        end = time.monotonic() + 10
        while len(cloud.asked) < 2 and time.monotonic() < end:
            time.sleep(0.01)
        assert not waiting.done()
        with cloud.lock:
            del cloud.annotations[LEASE]
        assert waiting.result(20) == NEW


def test_garmin_is_not_asked_when_the_new_token_could_not_be_saved(cloud: Google) -> None:
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
def test_a_fault_is_a_sentence_and_garmin_is_not_asked(cloud: Google, end: str, status: int, words: str) -> None:
    store = holding(cloud)
    cloud.faults[end] = status
    assert words in fault_of(store)


def test_a_secret_that_is_not_there_is_named_with_the_mend(cloud: Google) -> None:
    cloud.exists = False
    assert f"There is no secret {SECRET}" in fault_of(store_of(cloud))


def test_what_did_not_arrive_whole_or_is_no_token_is_not_used(cloud: Google) -> None:
    store = holding(cloud)
    cloud.damaged = True
    assert "did not arrive whole" in fault_of(store)
    cloud.damaged = False
    cloud.versions.append(b"planted nonsense")
    assert "is not a token. Sign in again: weighbridge login." in fault_of(store)


def test_a_token_that_is_gone_asks_for_a_sign_in(cloud: Google) -> None:
    with pytest.raises(SignInNeeded):
        store_of(cloud).refreshed(OLD, lambda _: NEW)


def test_without_credentials_the_mend_is_named(cloud: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json")
    assert "set GOOGLE_APPLICATION_CREDENTIALS" in fault_of(store_of(cloud))


@pytest.mark.parametrize("name", ["garmin", "projects/a/secrets/", "projects/a/secrets/b/versions/1", "projects/../x"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="looks like projects/"):
        SecretTokenStore(name)


def test_a_regional_secret_has_its_own_address() -> None:
    store = SecretTokenStore("projects/a/locations/europe-west3/secrets/b")
    assert store._address.startswith("https://secretmanager.europe-west3.rep.googleapis.com/v1/projects/a/locations/")


def test_the_setting_chooses_it_and_each_person_has_a_secret_of_their_own() -> None:
    settings = read_settings({"WEIGHBRIDGE_TOKEN_SECRET": SECRET})
    assert token_store(settings).place == SECRET
    assert token_store(settings.for_person("anna")).place == f"{SECRET}-anna"


def test_garth_renews_with_it_at_garmin_and_the_old_refresh_token_is_never_used_again(
    cloud: Google, garmin: GarminStandIn
) -> None:
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
