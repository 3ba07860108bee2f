"""The session over the real garth: a token is renewed once, and no request is sent twice."""

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

from weighbridge.errors import (
    GarminRefused,
    GarminUnreachable,
    RateLimited,
    SignInBlocked,
    SignInNeeded,
    SignInRejected,
    TokenStoreUnusable,
    WeighbridgeError,
)
from weighbridge.garmin.connect import GarminConnect
from weighbridge.garmin.sessions.garth import GarthSession, finish_sign_in, sign_in
from weighbridge.garmin.sessions.port import ConnectionDropped
from weighbridge.garmin.sessions.steps import Pending, Where, WrongCode
from weighbridge.garmin.tokens import Token, TokenStore
from weighbridge.secret import SecretStr

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


def test_answer(session: GarthSession) -> None:
    """An answer is passed on unchanged."""
    answer = session.request("GET", RANGE, params={"includeAll": "true"})
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.body.startswith(b'{"dailyWeightSummaries": []')


def test_multipart_field(garmin: GarminStandIn, session: GarthSession) -> None:
    """A file is sent as the multipart field `file`."""
    answer = session.request("POST", "/upload-service/upload", file=("x.fit", b"not FIT"))
    assert (answer.status, garmin.uploads_received) == (400, 1)
    assert b"There is no file" not in answer.body


@pytest.mark.parametrize("fault", ["400", "403-cloudflare", "409", "412", "429", "500", "503", "504"])
def test_any_status(garmin: GarminStandIn, session: GarthSession, fault: str) -> None:
    """Any status is an answer, after exactly one request."""
    garmin.faults.add("upload", fault, times=None)
    answer = session.request("POST", "/upload-service/upload", file=("x.fit", b""))
    assert answer.status == int(fault[:3])
    assert garmin.uploads_received == 1


@pytest.mark.parametrize("fault", ["drop-before", "drop-within"])
def test_lost_answer(garmin: GarminStandIn, session: GarthSession, fault: str) -> None:
    """After a lost answer nothing is sent again, even after earlier requests: libcurl would do that on a kept
    connection."""
    session.request("GET", RANGE)
    garmin.faults.add("upload", fault, carried_out=False)
    with pytest.raises(ConnectionDropped):
        session.request("POST", "/upload-service/upload", file=("x.fit", b""))
    assert garmin.uploads_received == 1


def test_slow_request(garmin: GarminStandIn, store: TokenStore) -> None:
    """A request that takes too long is a dropped connection."""
    garmin.faults.add("weight/range", "slow", delay_s=2.0)
    session = GarthSession(store, domain=garmin.domain, ca_bundle=garmin.ca_bundle, timeout_s=0.3)
    with pytest.raises(ConnectionDropped):
        session.request("GET", RANGE)


def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"localhost:{server.getsockname()[1]}"


@pytest.mark.parametrize("domain", [closed_port, lambda: "weighbridge.invalid"], ids=["nobody listens", "no such name"])
def test_unreachable(garmin: GarminStandIn, store: TokenStore, domain: Callable[[], str]) -> None:
    """If Garmin cannot be reached, the fault says that nothing was sent."""
    session = GarthSession(store, domain=domain(), ca_bundle=garmin.ca_bundle)
    with pytest.raises(GarminUnreachable, match="nothing was sent") as caught:
        session.request("POST", "/upload-service/upload", file=("x.fit", b""))
    assert caught.value.nothing_sent


@pytest.mark.parametrize("ca_bundle", [None, Path("missing.pem")])
def test_untrusted_certificate(garmin: GarminStandIn, store: TokenStore, ca_bundle: Path | None) -> None:
    """With an untrusted certificate nothing is sent, and the message names the fix."""
    session = GarthSession(store, domain=garmin.domain, ca_bundle=ca_bundle)
    with pytest.raises(GarminUnreachable, match="GARMIN_CA_BUNDLE"):
        session.request("GET", RANGE)
    assert garmin.requests == []


def test_threads(garmin: GarminStandIn, session: GarthSession) -> None:
    """Threads can share a session."""
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: session.request("GET", RANGE).status, range(40)))
    assert statuses == [200] * 40


# -- the token -------------------------------------------------------------------------------------------


def test_no_token(garmin: GarminStandIn, tmp_path: Path) -> None:
    """Without a token the message names the command to sign in."""
    session = GarthSession(TokenStore(tmp_path / "none"), domain=garmin.domain, ca_bundle=garmin.ca_bundle)
    with pytest.raises(SignInNeeded, match="weighbridge login"):
        session.request("GET", RANGE)
    with pytest.raises(SignInNeeded, match="weighbridge login"):
        session.token_days_left()


def test_token_ends_soon(garmin: GarminStandIn, store: TokenStore) -> None:
    """A token that ends soon is renewed once and saved."""
    before = store.read()
    session = later(garmin, store, DAY_S - 600)
    assert [session.request("GET", RANGE).status for _ in range(2)] == [200, 200]
    after = store.read()
    assert before is not None
    assert after is not None
    assert after.refresh_token != before.refresh_token
    assert garmin.sign_in.refused_refreshes == 0
    # By this session's clock the new token ends soon too, so each request renews it. By Garmin's clock it does not.
    assert TokenStore(store.folder).read() == after


def test_token_still_valid(garmin: GarminStandIn, store: TokenStore) -> None:
    """A token with more than 15 minutes left is not renewed."""
    later(garmin, store, DAY_S - 1000).request("GET", RANGE)
    assert garmin.sign_in.refreshes == 0


def test_one_401(garmin: GarminStandIn, session: GarthSession, store: TokenStore) -> None:
    """After a 401 the token is renewed once and the request sent once more."""
    garmin.expire_access_tokens()
    assert session.request("GET", RANGE).status == 200
    assert routes(garmin) == [("weight/range", 401), ("diauth/token", 200), ("weight/range", 200)]
    assert session.request("GET", RANGE).status == 200
    assert garmin.sign_in.refreshes == 1


def test_second_401(garmin: GarminStandIn, session: GarthSession) -> None:
    """A second 401 is the answer."""
    garmin.faults.add("weight/range", "401", times=None)
    assert session.request("GET", RANGE).status == 401
    assert garmin.sign_in.refreshes == 1


def test_threads_renew_once(garmin: GarminStandIn, session: GarthSession) -> None:
    """Threads that get a 401 together renew the token once."""
    garmin.expire_access_tokens()
    start = threading.Barrier(8, timeout=30)

    def one(_: int) -> int:
        start.wait()
        return session.request("GET", RANGE).status

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(8))) == [200] * 8
    assert (garmin.sign_in.refreshes, garmin.sign_in.refused_refreshes) == (1, 0)


def test_token_without_times(garmin: GarminStandIn, tmp_path: Path) -> None:
    """A token imported without its times is renewed before it is used."""
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
def test_dead_refresh_token(garmin: GarminStandIn, session: GarthSession, store: TokenStore, status: int) -> None:
    """A refresh token that no longer works needs a new sign-in, and the stored token stays."""
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
def test_renewal_fails_once(
    garmin: GarminStandIn, session: GarthSession, store: TokenStore, fault: str, kind: type[WeighbridgeError]
) -> None:
    """After a renewal that fails nothing is sent, and the next request works; after a 429, once its time is over."""
    garmin.expire_access_tokens()
    garmin.faults.add("diauth/token", fault)
    with pytest.raises(kind) as caught:
        session.request("POST", "/upload-service/upload", file=("x.fit", b""))
    assert isinstance(caught.value, kind)
    assert garmin.uploads_received == 0
    next_one = later(garmin, store, 15) if kind is RateLimited else session
    assert next_one.request("GET", RANGE).status == 200


def test_renewal_answer_lost(garmin: GarminStandIn, session: GarthSession) -> None:
    """If the answer to a renewal is lost, the message says so."""
    garmin.expire_access_tokens()
    garmin.faults.add("diauth/token", "drop-after")
    with pytest.raises(GarminUnreachable, match="lost on its way"):
        session.request("GET", RANGE)
    with pytest.raises(SignInNeeded, match="the answer to an earlier renewal was lost"):
        session.request("GET", RANGE)


def test_refused_renewal(garmin: GarminStandIn, session: GarthSession, store: TokenStore) -> None:
    """A refused renewal is not tried again until somebody has signed in: a scale that goes on sending must not lock the
    account."""
    garmin.expire_access_tokens()
    garmin.revoke()
    for _ in range(5):
        with pytest.raises(SignInNeeded, match="weighbridge login"):
            session.request("GET", RANGE)
    assert garmin.sign_in.refused_refreshes == 1
    garmin.write_token(store.folder)
    assert session.request("GET", RANGE).status == 200


@pytest.mark.parametrize("state", ["missing", "damaged", "refused", "not renewable", "ended"])
def test_command_of_the_person(garmin: GarminStandIn, tmp_path: Path, state: str) -> None:
    """Each message about a sign-in ends with the complete command for its person, ready to copy."""
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


def test_killed_before_saving(garmin: GarminStandIn, session: GarthSession, store: TokenStore) -> None:
    """If a process is killed between renewal and saving, the new token is lost, and the next message says so."""
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


def test_renew(session: GarthSession, store: TokenStore) -> None:
    """`renew` renews a token that is not due."""
    before = store.read()
    assert session.renew() == store.read() != before


def test_days_left(garmin: GarminStandIn, store: TokenStore) -> None:
    """`token_days_left` counts down to the end of the refresh token."""
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


def test_garth_variables(garmin: GarminStandIn, store: TokenStore, tmp_path: Path) -> None:
    """garth's environment variables have no effect: GARTH_HOME with GARTH_TOKEN would make `import garth` raise, and
    telemetry would print."""
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


def test_garth_variables_set_later(
    session: GarthSession, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """garth's environment variables have no effect on a client that is built later."""
    session.request("GET", RANGE)
    monkeypatch.setenv("GARTH_HOME", "/nowhere")
    monkeypatch.setenv("GARTH_TOKEN", "nonsense")
    monkeypatch.setenv("GARTH_TELEMETRY_ENABLED", "true")
    assert session.request("GET", RANGE).status == 200
    assert capfd.readouterr().out == ""


# -- signing in (garth waits 1.5 to 4 seconds between the two pages of a sign-in) ---------------------------


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the pauses with which garth imitates a person."""
    import garth.sso.widget_strategy

    monkeypatch.setattr(garth.sso.widget_strategy.random, "uniform", lambda _low, _high: 0.0)


def attempt(garmin: GarminStandIn, password: str = "", code: str = "") -> Token:
    """Both steps of a sign-in."""
    where = Where(garmin.domain, garmin.ca_bundle)
    found = sign_in(garmin.account.email, SecretStr(password or garmin.account.password), where)
    return found if isinstance(found, Token) else finish_sign_in(found, code or str(garmin.account.mfa_code), where)


@pytest.mark.usefixtures("impatient")
def test_sign_in_with_a_code(garmin: GarminStandIn, tmp_path: Path) -> None:
    """A sign-in with a second factor gives a token that works."""
    garmin.account.mfa_code = "123456"
    where = Where(garmin.domain, garmin.ca_bundle)
    pending = sign_in(garmin.account.email, SecretStr(garmin.account.password), where)
    assert isinstance(pending, Pending)
    token = finish_sign_in(Pending.of(pending.read()), "123456", where)
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
        ("sso/signin-page", "403-cloudflare", SignInBlocked, "Cloudflare"),
        ("sso/signin-page", "firewall-html", SignInBlocked, "not as expected"),
        ("sso/signin-page", "503", GarminUnreachable, "is not working"),
        ("sso/signin-page", "drop-within", GarminUnreachable, "reached"),
        ("sso/signin", "429-html", RateLimited, "wait"),
        ("sso/signin", "400-captcha", SignInBlocked, "captcha"),
        ("sso/mfa", "403-cloudflare", SignInBlocked, "Cloudflare"),
        ("diauth/token", "403-cloudflare", SignInBlocked, "another network"),
        ("diauth/token", "400", SignInBlocked, "no token"),
        ("sso/mfa", "429-html", RateLimited, "wait"),
        ("diauth/token", "429", RateLimited, "wait"),
        ("diauth/token", "firewall-html", GarminUnreachable, "not a token"),
    ],
)
def test_sign_in_fails(garmin: GarminStandIn, route: str, fault: str, kind: type[WeighbridgeError], words: str) -> None:
    """A failed sign-in says why. For garth most of these are the same: "No CSRF token found in login page"."""
    garmin.account.mfa_code = "123456" if route == "sso/mfa" else None
    garmin.faults.add(route, fault, times=None)
    with pytest.raises(kind, match=words) as caught:
        attempt(garmin)
    assert type(caught.value) is kind
    assert garmin.account.password not in str(caught.value)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("password", "code", "words"), [("wrong", None, "password"), (None, "000000", "code")])
def test_wrong_password_or_code(garmin: GarminStandIn, password: str | None, code: str | None, words: str) -> None:
    """A wrong password and a wrong code have different messages."""
    garmin.account.mfa_code = "123456"
    with pytest.raises(SignInRejected, match=words):
        attempt(garmin, password or "", code or "")


@pytest.mark.usefixtures("impatient")
def test_another_code(garmin: GarminStandIn) -> None:
    """After a wrong code, what waits takes the right one."""
    garmin.account.mfa_code = "123456"
    with pytest.raises(WrongCode) as wrong:
        attempt(garmin, code="000000")
    assert wrong.value.pending is not None
    where = Where(garmin.domain, garmin.ca_bundle)
    assert finish_sign_in(wrong.value.pending, "123456", where).access_token
    assert "SESSION" not in repr(wrong.value.pending) + str(wrong.value)
