"""The other library: garminconnect leads to the same outcomes as garth, whatever Garmin answers.

It needs Python 3.12 or newer. `make test-garminconnect` runs this module with Debian's current one.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trustme

from weighbridge.delivery.port import Delivered, Outcome
from weighbridge.errors import (
    GarminUnreachable,
    RateLimited,
    SettingsInvalid,
    SignInBlocked,
    SignInNeeded,
    SignInRejected,
    WeighbridgeError,
)
from weighbridge.fit.template import read_template
from weighbridge.garmin.connect import GarminConnect
from weighbridge.garmin.sessions.garminconnect import GarminconnectSession, finish_sign_in, sign_in
from weighbridge.garmin.sessions.garth import GarthSession
from weighbridge.garmin.sessions.port import ConnectionDropped
from weighbridge.garmin.sessions.steps import Where, WrongCode
from weighbridge.garmin.sessions.token_session import TokenSession
from weighbridge.garmin.tokens import Token, TokenStore
from weighbridge.operate import login
from weighbridge.operate.surroundings import Terminal
from weighbridge.pipeline import Prover
from weighbridge.reading.reading import Reading
from weighbridge.resources import TEMPLATES
from weighbridge.secret import SecretStr

from .commands import run
from .garmin.account import Account
from .garmin.faults import FAULTS
from .garmin.server import GarminStandIn
from .skips import NOT_HERE

# The release for older Pythons has another client.
CAN_RUN = sys.version_info >= (3, 12)
INSTALLED = CAN_RUN and importlib.util.find_spec("garminconnect") is not None
needs_the_library = pytest.mark.skipif(
    not INSTALLED,
    reason="garminconnect is not installed: make test installs it"
    if CAN_RUN
    else f"{NOT_HERE}garminconnect needs Python 3.12 or newer; make test-garminconnect runs this with one",
)

TEMPLATE = read_template((TEMPLATES / "weight_scale.fit").read_bytes())
RANGE = "/weight-service/weight/range/2026-11-01/2026-11-22"


def reading(number: int) -> Reading:
    return Reading(
        measured_at=datetime(2026, 9, 1, 6, 30, tzinfo=UTC) + timedelta(days=number),
        weight_kg=Decimal(8000 + number) / 100,
        body_fat_percent=Decimal(180 + number) / 10,
    )


def session(kind: type[TokenSession], garmin: GarminStandIn, folder: Path, **options: Any) -> TokenSession:
    return kind(TokenStore(folder), domain=garmin.domain, ca_bundle=garmin.ca_bundle, **options)


def deliver(way: TokenSession, *readings: Reading) -> Outcome | type[WeighbridgeError]:
    connect = GarminConnect(way, name="x", confirm_s=1)
    try:
        outcomes = connect.deliver(readings, Prover(TEMPLATE), replace=False)
        return outcomes[readings[0]]
    except WeighbridgeError as fault:
        return type(fault)


@needs_the_library
def test_same_files_and_weigh_ins(garmin: GarminStandIn, tmp_path: Path) -> None:
    """60 readings make the same files and weigh-ins with either library, even with a switch in the middle."""
    garmin.write_token(tmp_path)
    files: list[bytes] = []

    def send(ways: list[type[TokenSession]]) -> tuple[list[dict[str, Any]], int]:
        garmin.weights.entries.clear()
        for number in range(60):
            outcome = deliver(session(ways[number * len(ways) // 60], garmin, tmp_path), reading(number))
            assert isinstance(outcome, Delivered)
            assert outcome.status == "confirmed"
            files.append(outcome.fit.content)
        shown = [{k: v for k, v in entry.items() if k != "samplePk"} for entry in garmin.weigh_ins()]
        return shown, garmin.uploads_stored

    by_garth, _ = send([GarthSession])
    sent_by_garth = files.copy()
    files.clear()
    assert len(by_garth) == 60
    assert send([GarminconnectSession])[0] == by_garth
    assert files == sent_by_garth
    files.clear()
    assert send([GarthSession, GarminconnectSession, GarthSession])[0] == by_garth
    assert files == sent_by_garth
    stored = garmin.uploads_stored
    for number in range(60):
        outcome = deliver(session(GarminconnectSession, garmin, tmp_path), reading(number))
        assert isinstance(outcome, Delivered)
        assert outcome.status == "present"
    assert (garmin.uploads_stored, len(garmin.weigh_ins())) == (stored, 60)


@needs_the_library
@pytest.mark.parametrize("route", ["upload", "weight/range"])
@pytest.mark.parametrize("fault", [name for name in FAULTS if name != "slow"])
def test_same_outcomes(garmin: GarminStandIn, tmp_path: Path, fault: str, route: str) -> None:
    """Both libraries lead to the same outcome, whatever Garmin answers."""
    found = []
    for number, kind in enumerate((GarthSession, GarminconnectSession)):
        folder = tmp_path / kind.__name__
        garmin.write_token(folder)
        garmin.reset()
        garmin.faults.add(route, fault, times=None if fault == "401" else 1)
        outcome = deliver(session(kind, garmin, folder), reading(number))
        found.append(
            (
                getattr(outcome, "status", outcome if isinstance(outcome, type) else type(outcome)),
                len(garmin.weights.entries),
            )
        )
    assert found[0] == found[1]


@needs_the_library
def test_renewal(garmin: GarminStandIn, tmp_path: Path) -> None:
    """A token that ends soon or is refused is renewed once, and saved before it is used."""
    garmin.sign_in.access_token_lifetime_s = 600
    garmin.write_token(tmp_path)
    store = TokenStore(tmp_path)
    before = store.read()
    garmin.sign_in.access_token_lifetime_s = 86_400
    way = session(GarminconnectSession, garmin, tmp_path)
    assert way.request("GET", RANGE).status == 200
    after = store.read()
    assert garmin.sign_in.refreshes == 1
    assert after != before
    assert way.request("GET", RANGE).status == 200
    assert garmin.sign_in.refreshes == 1
    garmin.expire_access_tokens()
    assert way.request("GET", RANGE).status == 200
    assert garmin.sign_in.refreshes == 2
    # garth can use the token that garminconnect has saved.
    assert session(GarthSession, garmin, tmp_path).request("GET", RANGE).status == 200
    assert garmin.sign_in.refused_refreshes == 0


@needs_the_library
def test_refused_renewal(garmin: GarminStandIn, tmp_path: Path) -> None:
    """When Garmin refuses to renew a token, it is asked only once."""
    garmin.write_token(tmp_path)
    garmin.sign_in._refresh_tokens.clear()
    garmin.expire_access_tokens()
    way = session(GarminconnectSession, garmin, tmp_path)
    for _ in range(3):
        with pytest.raises(SignInNeeded, match="weighbridge login"):
            way.request("GET", RANGE)
    assert garmin.sign_in.refused_refreshes == 1


@needs_the_library
def test_nothing_sent(garmin: GarminStandIn, tmp_path: Path) -> None:
    """If Garmin cannot be reached or is not trusted, the fault says that nothing was sent."""
    garmin.write_token(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    nobody = GarminconnectSession(TokenStore(tmp_path), domain=f"localhost:{port}", ca_bundle=garmin.ca_bundle)
    with pytest.raises(GarminUnreachable, match="nothing was sent"):
        nobody.request("GET", RANGE)
    unknown = GarminconnectSession(TokenStore(tmp_path), domain=garmin.domain)
    with pytest.raises(GarminUnreachable, match="is not trusted"):
        unknown.request("GET", RANGE)


@needs_the_library
def test_garbled_connection(tmp_path: Path) -> None:
    """A connection that is garbled after the request may have delivered the reading. requests raises an SSLError, as
    for an untrusted certificate; if it were treated as one, the next delivery would send a second time."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost", "connectapi.localhost").configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def garble() -> None:
            connection = context.wrap_socket(listener.accept()[0], server_side=True)
            connection.recv(65_536)
            descriptor = connection.detach()
            os.write(descriptor, b"this is not TLS" * 10)
            os.close(descriptor)

        thread = threading.Thread(target=garble)
        thread.start()
        with GarminStandIn() as garmin:
            garmin.write_token(tmp_path / "tokens")
        domain = f"localhost:{listener.getsockname()[1]}"
        way = GarminconnectSession(TokenStore(tmp_path / "tokens"), domain=domain, ca_bundle=tmp_path / "ca.pem")
        with pytest.raises(ConnectionDropped):
            way.request("GET", RANGE)
        thread.join()


# -- signing in ----------------------------------------------------------------------------------------------


@pytest.fixture
def guarded() -> Iterator[GarminStandIn]:
    """An account with a second factor."""
    with GarminStandIn(account=Account(mfa_code="734512")) as garmin:
        yield garmin


def attempt(garmin: GarminStandIn, password: str = "", code: str = "") -> Token:
    """Both steps of a sign-in."""
    where = Where(garmin.domain, garmin.ca_bundle)
    found = sign_in(garmin.account.email, SecretStr(password or garmin.account.password), where)
    return found if isinstance(found, Token) else finish_sign_in(found, code or str(garmin.account.mfa_code), where)


@needs_the_library
def test_sign_in(
    guarded: GarminStandIn, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password and a code give a token with which a reading arrives, and no secret is logged."""
    hurry(monkeypatch)
    caplog.set_level(logging.DEBUG)
    TokenStore(tmp_path).save(attempt(guarded))
    outcome = deliver(session(GarminconnectSession, guarded, tmp_path), reading(1))
    assert isinstance(outcome, Delivered)
    assert outcome.status == "confirmed"
    token = TokenStore(tmp_path).read()
    assert token is not None
    for secret in (guarded.account.password, "734512", "ST-", token.access_token.get_secret_value(), "80.01"):
        assert secret not in caplog.text


@needs_the_library
@pytest.mark.parametrize(
    ("password", "code", "words"),
    [("a wrong password", "", "rejected this e-mail or password"), ("", "000000", "rejected this code")],
)
def test_wrong_password_or_code(
    guarded: GarminStandIn, monkeypatch: pytest.MonkeyPatch, password: str, code: str, words: str
) -> None:
    """A wrong password or code ends the sign-in at once."""
    hurry(monkeypatch)
    with pytest.raises(SignInRejected, match=words):
        attempt(guarded, password, code)


@needs_the_library
def test_another_code(guarded: GarminStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a wrong code, what waits takes the right one."""
    hurry(monkeypatch)
    with pytest.raises(WrongCode) as wrong:
        attempt(guarded, code="000000")
    assert wrong.value.pending is not None
    assert finish_sign_in(wrong.value.pending, "734512", Where(guarded.domain, guarded.ca_bundle)).access_token


@needs_the_library
@pytest.mark.parametrize(("fault", "kind"), [("429-html", RateLimited), ("drop-before", GarminUnreachable)])
def test_code_not_judged(
    guarded: GarminStandIn, monkeypatch: pytest.MonkeyPatch, fault: str, kind: type[WeighbridgeError]
) -> None:
    """If the code is not judged, it is not called wrong."""
    hurry(monkeypatch)
    guarded.faults.add("sso/mfa", fault, times=None)
    with pytest.raises(kind):
        attempt(guarded)


@needs_the_library
def test_locked_account(guarded: GarminStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """A locked account is reported as locked."""
    hurry(monkeypatch)
    for _ in range(5):
        with pytest.raises(SignInRejected):
            attempt(guarded, "a wrong password")
    with pytest.raises(SignInRejected, match="Garmin has locked this account"):
        attempt(guarded)


@needs_the_library
def test_all_ways_blocked(garmin: GarminStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """If every way is blocked, the fault says so."""
    hurry(monkeypatch)
    for route in ("sso/embed", "sso/signin-page", "sso/signin"):
        garmin.faults.add(route, "403-cloudflare", times=None)
    with pytest.raises((SignInBlocked, RateLimited)):
        attempt(garmin)


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the pauses with which the library imitates a person."""
    import garminconnect.client

    monkeypatch.setattr(garminconnect.client.time, "sleep", lambda _: None)


@needs_the_library
def test_login_uses_it_after_garth(
    guarded: GarminStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`weighbridge login` tries this library when garth is blocked."""
    hurry(monkeypatch)
    # garth's first page is blocked once; for the other library it is not.
    guarded.faults.add("sso/signin-page", "403-cloudflare", times=1)
    secrets = {"Password (not shown): ": guarded.account.password}
    terminal = Terminal(
        ask=lambda _: guarded.account.email,
        ask_secret=lambda question: secrets.get(question, "734512"),
        open_page=lambda _: False,
        in_container=lambda: False,
    )
    environment = {
        "WEIGHBRIDGE_TOKENS": str(tmp_path),
        "GARMIN_DOMAIN": guarded.domain,
        "GARMIN_CA_BUNDLE": str(guarded.ca_bundle),
    }
    assert run(["login"], environment, terminal) == 0
    said = capsys.readouterr()
    assert "The next way, garminconnect: the same, with another library" in said.err
    assert "Stored in" in said.out
    assert session(GarthSession, guarded, tmp_path).request("GET", RANGE).status == 200


# -- without the library ------------------------------------------------------------------------------------


@pytest.mark.skipif(INSTALLED, reason=f"{NOT_HERE}the library is installed")
def test_not_installed(garmin: GarminStandIn, tmp_path: Path) -> None:
    """Without the library, one sentence names the pip command."""
    garmin.write_token(tmp_path)
    calls: list[Callable[[], object]] = [
        lambda: session(GarminconnectSession, garmin, tmp_path).request("GET", RANGE),
        lambda: attempt(garmin),
    ]
    for call in calls:
        with pytest.raises(SettingsInvalid, match=r"pipx install --force '\.\[garminconnect\]'"):
            call()


def test_order_of_the_ways() -> None:
    """The ways to sign in are tried in this order."""
    assert [way.name for way in login.WAYS] == ["password", "garminconnect", "browser"]
