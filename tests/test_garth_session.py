"""The session over the real garth: a token that renews itself once, and no request that is sent behind our back."""

from __future__ import annotations

import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest
from pydantic import SecretStr

from weighbridge.errors import (
    GarminRefused,
    GarminUnreachable,
    RateLimited,
    SignInNeeded,
    TokenStoreUnusable,
    WeighbridgeError,
)
from weighbridge.garmin.connect import GarminConnect
from weighbridge.garmin.sessions.garth import GarthSession, sign_in
from weighbridge.garmin.sessions.port import ConnectionDropped
from weighbridge.garmin.tokens import TokenStore

from .garmin.server import GarminStandIn

ROOT = Path(__file__).parent.parent
RANGE = "/weight-service/weight/range/2026-11-01/2026-11-02"
DAY_S = 86_400
DAY = date(2026, 11, 22)


@pytest.fixture
def store(garmin: GarminStandIn, tmp_path: Path) -> TokenStore:
    garmin.write_token(tmp_path / "tokens")
    return TokenStore(tmp_path / "tokens")


@pytest.fixture
def session(garmin: GarminStandIn, store: TokenStore) -> GarthSession:
    return GarthSession(store, domain=garmin.domain, ca_bundle=garmin.ca_bundle)


def later(garmin: GarminStandIn, store: TokenStore, seconds: float) -> GarthSession:
    return GarthSession(store, domain=garmin.domain, ca_bundle=garmin.ca_bundle, now=lambda: time.time() + seconds)


def routes(garmin: GarminStandIn) -> list[tuple[str | None, int | None]]:
    return [(logged.route, logged.status) for logged in garmin.requests]


# -- requests --------------------------------------------------------------------------------------------


def test_an_answer_is_passed_on_as_it_came(session: GarthSession) -> None:
    answer = session.request("GET", RANGE, params={"includeAll": "true"})
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.body.startswith(b'{"dailyWeightSummaries": []')


def test_a_file_goes_out_as_the_multipart_field_file(garmin: GarminStandIn, session: GarthSession) -> None:
    answer = session.request("POST", "/upload-service/upload", file=("x.fit", b"no FIT"))
    assert (answer.status, garmin.uploads_received) == (400, 1)
    assert b"There is no file" not in answer.body


@pytest.mark.parametrize("fault", ["400", "403-cloudflare", "409", "412", "429", "500", "503", "504"])
def test_any_status_is_an_answer_after_one_single_request(
    garmin: GarminStandIn, session: GarthSession, fault: str
) -> None:
    garmin.faults.add("upload", fault, times=None)
    answer = session.request("POST", "/upload-service/upload", file=("x.fit", b""))
    assert answer.status == int(fault[:3])
    assert garmin.uploads_received == 1


@pytest.mark.parametrize("fault", ["drop-before", "drop-within"])
def test_a_lost_answer_is_never_asked_for_again_even_after_earlier_requests(
    garmin: GarminStandIn, session: GarthSession, fault: str
) -> None:
    """libcurl would silently send it again on a connection that it had kept."""
    session.request("GET", RANGE)
    garmin.faults.add("upload", fault, carried_out=False)
    with pytest.raises(ConnectionDropped):
        session.request("POST", "/upload-service/upload", file=("x.fit", b""))
    assert garmin.uploads_received == 1


def test_a_request_that_takes_too_long_is_a_dropped_one(garmin: GarminStandIn, store: TokenStore) -> None:
    garmin.faults.add("weight/range", "slow", delay_s=2.0)
    session = GarthSession(store, domain=garmin.domain, ca_bundle=garmin.ca_bundle, timeout_s=0.3)
    with pytest.raises(ConnectionDropped):
        session.request("GET", RANGE)


def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"localhost:{server.getsockname()[1]}"


@pytest.mark.parametrize("domain", [closed_port, lambda: "weighbridge.invalid"], ids=["nobody listens", "no such name"])
def test_a_garmin_that_cannot_be_reached_is_told_from_one_that_fell_silent(
    garmin: GarminStandIn, store: TokenStore, domain: Callable[[], str]
) -> None:
    session = GarthSession(store, domain=domain(), ca_bundle=garmin.ca_bundle)
    with pytest.raises(GarminUnreachable, match="nothing was sent") as caught:
        session.request("POST", "/upload-service/upload", file=("x.fit", b""))
    assert caught.value.nothing_sent


@pytest.mark.parametrize("ca_bundle", [None, Path("missing.pem")])
def test_a_certificate_that_is_not_trusted_ends_it_and_the_mend_is_named(
    garmin: GarminStandIn, store: TokenStore, ca_bundle: Path | None
) -> None:
    session = GarthSession(store, domain=garmin.domain, ca_bundle=ca_bundle)
    with pytest.raises(GarminUnreachable, match="GARMIN_CA_BUNDLE"):
        session.request("GET", RANGE)
    assert garmin.requests == []


def test_a_session_is_shared_by_threads(garmin: GarminStandIn, session: GarthSession) -> None:
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: session.request("GET", RANGE).status, range(40)))
    assert statuses == [200] * 40


# -- the token -------------------------------------------------------------------------------------------


def test_without_a_token_the_mend_is_to_sign_in(garmin: GarminStandIn, tmp_path: Path) -> None:
    session = GarthSession(TokenStore(tmp_path / "none"), domain=garmin.domain, ca_bundle=garmin.ca_bundle)
    with pytest.raises(SignInNeeded, match="weighbridge login"):
        session.request("GET", RANGE)
    with pytest.raises(SignInNeeded, match="weighbridge login"):
        session.token_days_left()


def test_a_token_that_is_about_to_end_is_renewed_once_and_saved(garmin: GarminStandIn, store: TokenStore) -> None:
    before = store.read()
    session = later(garmin, store, DAY_S - 600)
    assert [session.request("GET", RANGE).status for _ in range(2)] == [200, 200]
    after = store.read()
    assert before is not None
    assert after is not None
    assert after.refresh_token != before.refresh_token
    assert garmin.sign_in.refused_refreshes == 0
    # By this session's clock the new token is about to end, too, so each request renews it; by Garmin's it is not.
    assert TokenStore(store.folder).read() == after


def test_a_token_with_more_than_fifteen_minutes_left_is_not_renewed(garmin: GarminStandIn, store: TokenStore) -> None:
    later(garmin, store, DAY_S - 1000).request("GET", RANGE)
    assert garmin.sign_in.refreshes == 0


def test_a_401_is_answered_by_one_renewal_and_one_more_try(
    garmin: GarminStandIn, session: GarthSession, store: TokenStore
) -> None:
    garmin.expire_access_tokens()
    assert session.request("GET", RANGE).status == 200
    assert routes(garmin) == [("weight/range", 401), ("diauth/token", 200), ("weight/range", 200)]
    assert session.request("GET", RANGE).status == 200
    assert garmin.sign_in.refreshes == 1


def test_a_second_401_is_the_answer(garmin: GarminStandIn, session: GarthSession) -> None:
    garmin.faults.add("weight/range", "401", times=None)
    assert session.request("GET", RANGE).status == 401
    assert garmin.sign_in.refreshes == 1


def test_threads_that_meet_a_401_together_renew_the_token_once(garmin: GarminStandIn, session: GarthSession) -> None:
    garmin.expire_access_tokens()
    start = threading.Barrier(8, timeout=30)

    def one(_: int) -> int:
        start.wait()
        return session.request("GET", RANGE).status

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(8))) == [200] * 8
    assert (garmin.sign_in.refreshes, garmin.sign_in.refused_refreshes) == (1, 0)


def test_a_token_imported_without_its_times_is_renewed_before_it_is_used(garmin: GarminStandIn, tmp_path: Path) -> None:
    issued = garmin.issue_token()
    (tmp_path / "default.json").write_text(
        f'{{"di_token": "opaque", "di_refresh_token": "{issued["refresh_token"]}", '
        f'"di_client_id": "{issued["client_id"]}"}}'
    )
    session = GarthSession(TokenStore(tmp_path), domain=garmin.domain, ca_bundle=garmin.ca_bundle)
    assert session.token_days_left() is None
    assert session.request("GET", RANGE).status == 200
    assert routes(garmin) == [("diauth/token", 200), ("weight/range", 200)]


@pytest.mark.parametrize("status", [400, 401])
def test_a_refresh_token_that_is_dead_means_signing_in_anew(
    garmin: GarminStandIn, session: GarthSession, store: TokenStore, status: int
) -> None:
    garmin.sign_in.invalid_grant_status = status
    before = store.read()
    garmin.expire_access_tokens()
    garmin.revoke()
    with pytest.raises(SignInNeeded, match="weighbridge login"):
        session.request("GET", RANGE)
    assert store.read() == before


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("429-retry-after", RateLimited),
        ("500", GarminUnreachable),
        ("503", GarminUnreachable),
        ("403-cloudflare", GarminRefused),
        ("drop-before", GarminUnreachable),
        ("firewall-html", GarminUnreachable),
        ("not-json", GarminUnreachable),
    ],
)
def test_a_renewal_that_fails_for_now_sends_nothing_and_works_the_next_time(
    garmin: GarminStandIn, session: GarthSession, fault: str, kind: type[WeighbridgeError]
) -> None:
    garmin.expire_access_tokens()
    garmin.faults.add("diauth/token", fault)
    with pytest.raises(kind) as caught:
        session.request("POST", "/upload-service/upload", file=("x.fit", b""))
    assert type(caught.value) is kind
    assert garmin.uploads_received == 0
    assert session.request("GET", RANGE).status == 200


def test_a_renewal_whose_answer_was_lost_is_said_plainly(garmin: GarminStandIn, session: GarthSession) -> None:
    garmin.expire_access_tokens()
    garmin.faults.add("diauth/token", "drop-after")
    with pytest.raises(GarminUnreachable, match="lost on its way"):
        session.request("GET", RANGE)
    with pytest.raises(SignInNeeded, match="the answer to an earlier renewal was lost"):
        session.request("GET", RANGE)


def test_a_token_that_is_refused_is_not_asked_for_again_until_somebody_has_signed_in(
    garmin: GarminStandIn, session: GarthSession, store: TokenStore
) -> None:
    """A scale that goes on sending must not lock the account."""
    garmin.expire_access_tokens()
    garmin.revoke()
    for _ in range(5):
        with pytest.raises(SignInNeeded, match="weighbridge login"):
            session.request("GET", RANGE)
    assert garmin.sign_in.refused_refreshes == 1
    garmin.write_token(store.folder)
    assert session.request("GET", RANGE).status == 200


@pytest.mark.parametrize("state", ["missing", "damaged", "refused", "not renewable", "ended"])
def test_each_sentence_about_a_sign_in_names_the_command_of_its_person(
    garmin: GarminStandIn, tmp_path: Path, state: str
) -> None:
    """So that it can be copied, and nobody has to complete it."""
    garmin.write_token(tmp_path, "anna")
    store = TokenStore(tmp_path, "anna")
    connect = GarminConnect(
        GarthSession(store, domain=garmin.domain, ca_bundle=garmin.ca_bundle), name="garth", confirm_s=0
    )
    match state:
        case "missing":
            store.path.unlink()
        case "damaged":
            store.path.write_text("{")
        case "refused":
            garmin.faults.add("weight/range", "401", times=None)
        case "not renewable":
            garmin.expire_access_tokens()
            garmin.revoke()
        case "ended":
            garmin.sign_in.refresh_token_lifetime_s = -10
            garmin.write_token(tmp_path, "anna")
    said = [str(connect.health().get("detail", ""))]
    if state != "ended":
        with pytest.raises((SignInNeeded, TokenStoreUnusable)) as caught:
            connect.list_weigh_ins(DAY, DAY)
        said.append(str(caught.value))
    assert all(sentence.endswith("weighbridge login --name anna.") for sentence in said if sentence)
    assert any(said)


RENEWS = """
    import sys
    from pathlib import Path
    from weighbridge.garmin.sessions.garth import GarthSession
    from weighbridge.garmin.tokens import TokenStore
    folder, domain, ca_bundle = sys.argv[1:]
    GarthSession(TokenStore(Path(folder)), domain=domain, ca_bundle=Path(ca_bundle)).renew()
"""


def test_a_process_that_is_killed_between_renewal_and_saving_leaves_a_plain_sentence(
    garmin: GarminStandIn, session: GarthSession, store: TokenStore
) -> None:
    """Garmin has made the new token and forgotten the old one; the new one is on its way to nobody."""
    garmin.faults.add("diauth/token", "slow", delay_s=30)
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(RENEWS), str(store.folder), garmin.domain, str(garmin.ca_bundle)],
        cwd=ROOT,
    )
    try:
        deadline = time.monotonic() + 30
        while garmin.sign_in.refreshes == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        child.kill()
        child.wait()
    assert garmin.sign_in.refreshes == 1
    garmin.expire_access_tokens()
    for _ in range(3):
        with pytest.raises(SignInNeeded, match=r"an earlier renewal was lost. Sign in again: weighbridge login"):
            session.request("GET", RANGE)
    assert garmin.sign_in.refused_refreshes == 1


def test_a_token_is_renewed_when_asked_though_it_is_not_due(session: GarthSession, store: TokenStore) -> None:
    before = store.read()
    assert session.renew() == store.read() != before


def test_days_left_count_down_to_the_end_of_the_refresh_token(garmin: GarminStandIn, store: TokenStore) -> None:
    days = later(garmin, store, 10 * DAY_S).token_days_left()
    assert days == pytest.approx(20, abs=0.01)


# -- garth itself ----------------------------------------------------------------------------------------


FRESH = """
    import os, sys, threading
    from pathlib import Path
    from weighbridge.garmin.sessions.garth import GarthSession
    from weighbridge.garmin.tokens import TokenStore
    assert "garth" not in sys.modules, "imported before it is needed"
    folder, domain, ca_bundle = sys.argv[1:]
    session = GarthSession(TokenStore(Path(folder)), domain=domain, ca_bundle=Path(ca_bundle))
    session.warm()
    print(session.request("GET", "/weight-service/weight/range/2026-11-01/2026-11-02").status)
"""


def test_what_stands_in_garths_own_variables_neither_breaks_nor_reaches_the_session(
    garmin: GarminStandIn, store: TokenStore, tmp_path: Path
) -> None:
    """GARTH_HOME together with GARTH_TOKEN would make `import garth` raise; telemetry would print and tell."""
    environment = {
        "GARTH_HOME": str(tmp_path),
        "GARTH_TOKEN": "nonsense",
        "GARTH_TELEMETRY_ENABLED": "true",
        "PATH": "/usr/bin:/bin",
    }
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FRESH), str(store.folder), garmin.domain, str(garmin.ca_bundle)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("200\n", "")


def test_garths_variables_are_hidden_from_a_client_that_is_built_later(
    session: GarthSession, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    session.request("GET", RANGE)
    monkeypatch.setenv("GARTH_HOME", "/nowhere")
    monkeypatch.setenv("GARTH_TOKEN", "nonsense")
    monkeypatch.setenv("GARTH_TELEMETRY_ENABLED", "true")
    assert session.request("GET", RANGE).status == 200
    assert capfd.readouterr().out == ""


# -- signing in (garth waits 1.5 to 4 seconds between the two pages of a sign-in) ---------------------------


def no_code() -> str:
    raise AssertionError("no second factor was expected")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """garth's pause pretends to be a person; the stand-in does not mind."""
    import garth.sso.widget_strategy

    monkeypatch.setattr(garth.sso.widget_strategy.random, "uniform", lambda _low, _high: 0.0)


@pytest.mark.usefixtures("impatient")
def test_a_sign_in_with_a_second_factor_gives_a_token_that_works(garmin: GarminStandIn, tmp_path: Path) -> None:
    garmin.account.mfa_code = "123456"
    token = sign_in(
        garmin.account.email,
        SecretStr(garmin.account.password),
        prompt_mfa=lambda: " 123456\n",
        domain=garmin.domain,
        ca_bundle=garmin.ca_bundle,
    )
    store = TokenStore(tmp_path)
    store.save(token)
    session = GarthSession(store, domain=garmin.domain, ca_bundle=garmin.ca_bundle)
    assert session.request("GET", RANGE).status == 200
    assert session.token_days_left() == pytest.approx(30, abs=0.01)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("route", "fault", "kind", "words"),
    [
        ("sso/signin-page", "429-html", RateLimited, "wait"),
        ("sso/signin-page", "403-cloudflare", GarminRefused, "Cloudflare"),
        ("sso/signin-page", "firewall-html", GarminRefused, "not as expected"),
        ("sso/signin-page", "503", GarminUnreachable, "out of order"),
        ("sso/signin-page", "drop-within", GarminUnreachable, "reached"),
        ("sso/signin", "429-html", RateLimited, "wait"),
        ("sso/mfa", "429-html", RateLimited, "wait"),
        ("diauth/token", "429", RateLimited, "wait"),
        ("diauth/token", "firewall-html", GarminUnreachable, "not a token"),
    ],
)
def test_a_sign_in_that_fails_says_whose_fault_it_is(
    garmin: GarminStandIn, route: str, fault: str, kind: type[WeighbridgeError], words: str
) -> None:
    """To garth most of these are the same: "No CSRF token found in login page"."""
    garmin.account.mfa_code = "123456" if route == "sso/mfa" else None
    garmin.faults.add(route, fault, times=None)
    with pytest.raises(kind, match=words) as caught:
        sign_in(
            garmin.account.email,
            SecretStr(garmin.account.password),
            prompt_mfa=(lambda: "123456") if route == "sso/mfa" else no_code,
            domain=garmin.domain,
            ca_bundle=garmin.ca_bundle,
        )
    assert type(caught.value) is kind
    assert garmin.account.password not in str(caught.value)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("password", "code", "words"), [("wrong", None, "password"), (None, "000000", "code")])
def test_a_wrong_password_is_told_from_a_wrong_code(
    garmin: GarminStandIn, password: str | None, code: str | None, words: str
) -> None:
    garmin.account.mfa_code = "123456"
    with pytest.raises(SignInNeeded, match=words):
        sign_in(
            garmin.account.email,
            SecretStr(password or garmin.account.password),
            prompt_mfa=lambda: code or no_code(),
            domain=garmin.domain,
            ca_bundle=garmin.ca_bundle,
        )
