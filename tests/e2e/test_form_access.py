"""The page behind Cloudflare Access: a real process, and a stand-in that signs with real keys."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from starlette.responses import PlainTextResponse
from websockets.typing import Origin

from tests.commands import weighbridge
from tests.e2e.parts.access import AUDIENCE, AccessStandIn, SigningKey, part
from tests.e2e.parts.form import Form, form
from tests.e2e.test_form_door import NOWHERE, Clock, ask, web_socket
from tests.ports import free_port
from weighbridge_form.access import (
    FRESH_S,
    LARGEST_ANSWER_BYTES,
    LEEWAY_S,
    LONGEST_USE_S,
    PAUSE_S,
    SHORT_PAUSE_S,
    Access,
)
from weighbridge_form.door import Door

HEADER = "cf_access_jwt_assertion"
#: What the tunnel sends besides.
TUNNEL = {"host": "scales.example", "cf_connecting_ip": "203.0.113.7", "x_forwarded_proto": "https"}


@pytest.fixture(scope="module")
def team() -> Iterator[AccessStandIn]:
    with AccessStandIn() as team:
        yield team


def settings_for(team: str, ca_bundle: Path) -> dict[str, str]:
    return {
        "WEIGHBRIDGE_FORM_ACCESS_TEAM": team,
        "WEIGHBRIDGE_FORM_ACCESS_AUDIENCE": AUDIENCE,
        "WEIGHBRIDGE_FORM_HOSTS": "scales.example",
        "SSL_CERT_FILE": str(ca_bundle),
    }


@pytest.fixture(scope="module")
def served(team: AccessStandIn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Form]:
    folder = tmp_path_factory.mktemp("access")
    with form(folder, NOWHERE, "--server.address=0.0.0.0", **settings_for(team.domain, team.ca_bundle)) as served:
        yield served
        log = served.log.read_text()
        assert "Traceback" not in log
        # Every token starts with the same bytes; so does an e-mail address in one.
        assert "eyJ" not in log
        assert "planted" not in log


def test_token_of_access_opens_the_page(served: Form, team: AccessStandIn) -> None:
    """A valid token opens page, files and WebSocket, in the header or as the cookie, and needs no password besides."""
    token = team.token()
    for fields in ({HEADER: token}, {"cookie": f"CF_Authorization={token}"}):
        for path in ("/", "/_stcore/host-config"):
            assert ask(served, path=path, **TUNNEL, **fields).status == 200
    for name, value in (("Cf-Access-Jwt-Assertion", token), ("Cookie", f"CF_Authorization={token}")):
        origin = Origin(served.address)
        assert web_socket(served, origin=origin, additional_headers={name: value}) == 101


def test_token_opens_no_other_door(served: Form, team: AccessStandIn) -> None:
    """With a valid token, another host and another web page are still refused."""
    token = team.token()
    assert ask(served, host="evil.example", **{HEADER: token}).status == 421
    assert ask(served, origin="http://evil.example", **{HEADER: token}).status == 403
    evil = Origin("http://evil.example")
    assert web_socket(served, origin=evil, additional_headers={"Cf-Access-Jwt-Assertion": token}) == 403


def test_nothing_passes_without_a_token(served: Form) -> None:
    """Without a token only the health check answers, also from this machine."""
    for method, path in (
        ("GET", "/"),
        ("GET", "/static/js/index.js"),
        ("GET", "/_stcore/host-config"),
        ("GET", "/_stcore/metrics"),
        ("PUT", "/_stcore/upload_file/a/b"),
        ("POST", "/"),
    ):
        answer = ask(served, method, path)
        assert (answer.status, answer.headers["cache-control"]) == (403, "no-store"), (method, path)
        assert "Cloudflare Access" in answer.said
    assert web_socket(served) == 403
    assert ask(served, path="/_stcore/health").status == 200


def unsigned(team: AccessStandIn) -> str:
    return f"{part({'alg': 'none', 'kid': team.keys[0].name})}.{part(team.claims())}."


def confused(team: AccessStandIn, secret: str) -> str:
    """A token with HS256, whose secret is what everyone may know: the public key."""
    signed = f"{part({'alg': 'HS256', 'kid': team.keys[0].name, 'typ': 'JWT'})}.{part(team.claims())}"
    return f"{signed}.{part(hmac.digest(secret.encode(), signed.encode(), hashlib.sha256))}"


def changed(team: AccessStandIn) -> str:
    """A token with the claims of another, and the signature of the first."""
    head, _, signature = team.token().split(".")
    return f"{head}.{part(team.claims(email='planted-eve@example.com'))}.{signature}"


def nameless(team: AccessStandIn) -> str:
    signed = f"{part({'alg': 'RS256', 'typ': 'JWT'})}.{part(team.claims())}"
    return f"{signed}.{part(team.keys[0].signature(signed.encode(), 'RS256'))}"


FORGED: dict[str, tuple[Callable[[AccessStandIn], str], str]] = {
    "expired": (lambda team: team.token(exp=int(time.time()) - LEEWAY_S - 1), "has expired"),
    "too early": (lambda team: team.token(nbf=int(time.time()) + 300), "not valid yet"),
    "without an end": (lambda team: team.token(exp=None), "is incomplete"),
    "for another application": (lambda team: team.token(aud=["0" * 64]), "_AUDIENCE"),
    "for no application": (lambda team: team.token(aud=None), "is incomplete"),
    "of another team": (lambda team: team.token(iss="https://evil.cloudflareaccess.com"), "_TEAM"),
    "of nobody": (lambda team: team.token(iss=None), "is incomplete"),
    "signed by another team": (lambda team: team.token(SigningKey()), "an unknown key"),
    "signed by another team in its name": (lambda team: team.token(SigningKey(), name=team.keys[0].name), "is wrong"),
    "changed": (changed, "is wrong"),
    "not signed": (unsigned, "not signed with RS256"),
    "HS256 with the public key": (lambda team: confused(team, team.keys[0].pem), "not signed with RS256"),
    "another algorithm": (lambda team: team.token(algorithm="RS512"), "not signed with RS256"),
    "with no name of a key": (nameless, "names no key"),
    "not a token": (lambda team: "planted", "cannot be read"),
    "nested deeply": (lambda team: f"{part(b'[' * 5_000)}.e30.e30", "cannot be read"),
}


@pytest.mark.parametrize("kind", FORGED)
def test_forged_token_is_refused(served: Form, team: AccessStandIn, kind: str) -> None:
    """A token that is not signed by this team, for this page and for now, opens nothing. The log has the reason."""
    forge, reason = FORGED[kind]
    token, before = forge(team), len(served.log.read_text())
    assert ask(served, **TUNNEL, **{HEADER: token}).status == 403
    assert ask(served, **TUNNEL, cookie=f"CF_Authorization={token}").status == 403
    assert web_socket(served, additional_headers={"Cf-Access-Jwt-Assertion": token}) == 403
    lines = [line for line in served.log.read_text()[before:].splitlines() if line.startswith("Cloudflare Access: ")]
    assert len(lines) == 3
    assert all(reason in line for line in lines), lines


def test_two_tokens_are_none(served: Form, team: AccessStandIn) -> None:
    """With two headers, neither counts; with a header, no cookie does."""
    token = team.token()
    assert ask(served, **TUNNEL, **{HEADER: [token, token]}).status == 403
    assert ask(served, **TUNNEL, **{HEADER: [token, "planted"]}).status == 403
    assert ask(served, **TUNNEL, cookie=f"CF_Authorization={token}", **{HEADER: "planted"}).status == 403


def test_without_keys_nobody_comes_in(team: AccessStandIn, tmp_path: Path) -> None:
    """While the keys cannot be fetched, a valid token gets 503, and the log has the reason."""
    settings = settings_for(f"127.0.0.1:{free_port()}", team.ca_bundle)
    with form(tmp_path, NOWHERE, "--server.address=0.0.0.0", **settings) as served:
        fields = {HEADER: team.token()}
        assert ask(served, **TUNNEL, **fields).status == 503
        assert web_socket(served, additional_headers={"Cf-Access-Jwt-Assertion": team.token()}) == 503
        assert ask(served, **TUNNEL).status == 403
        assert ask(served, path="/_stcore/health").status == 200
        assert "the keys could not be fetched: All connection attempts failed" in served.log.read_text()


# -- the keys ----------------------------------------------------------------------------------------------


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[AccessStandIn]:
    with AccessStandIn() as team:
        monkeypatch.setenv("SSL_CERT_FILE", str(team.ca_bundle))
        yield team


class Caller:
    """Sends tokens to a door in this process."""

    def __init__(self, team: AccessStandIn) -> None:
        self.clock = Clock()
        self._runner = asyncio.Runner()
        self._door = Door(PlainTextResponse("the page"), access=Access(team.domain, AUDIENCE, self.clock))

    def __call__(self, *tokens: str) -> list[int]:
        """The status of each answer, all asked for at once."""

        async def call() -> list[int]:
            transport = httpx.ASGITransport(self._door)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                asked = [client.get("/", headers={"Cf-Access-Jwt-Assertion": token}) for token in tokens]
                return [answer.status_code for answer in await asyncio.gather(*asked)]

        return self._runner.run(call())

    def close(self) -> None:
        self._runner.close()


@pytest.fixture
def send(fresh: AccessStandIn) -> Iterator[Caller]:
    caller = Caller(fresh)
    yield caller
    caller.close()


def test_keys_are_fetched_once(fresh: AccessStandIn, send: Caller) -> None:
    """However many ask, the keys are fetched once an hour."""
    assert send(*[fresh.token()] * 50) == [200] * 50
    send.clock.now += FRESH_S
    assert send(fresh.token()) == [200]
    assert fresh.fetched == 1
    send.clock.now += 1
    assert send(*[fresh.token()] * 50) == [200] * 50
    assert fresh.fetched == 2


def test_new_key_of_the_team(fresh: AccessStandIn, send: Caller) -> None:
    """A new key is fetched when it is first needed, at most once a minute; the previous one stays valid."""
    first = fresh.token()
    assert send(first) == [200]
    fresh.rotate()
    assert send(fresh.token(), first) == [403, 200]
    send.clock.now += PAUSE_S
    assert send(fresh.token()) == send(first) == [200]
    fresh.rotate()
    send.clock.now += PAUSE_S
    assert send(fresh.token()) == [200]
    assert send(first) == [403]
    assert fresh.fetched == 3


def test_made_up_keys_are_no_flood(fresh: AccessStandIn, send: Caller) -> None:
    """Tokens with made-up keys make one request a minute for the keys, and do not hold up others."""
    other = SigningKey()
    forged = [fresh.token(other, name=f"{number:064x}") for number in range(100)]
    for _ in range(3):
        assert send(*forged, fresh.token()) == [403] * 100 + [200]
        send.clock.now += PAUSE_S
    assert fresh.fetched == 3


BROKEN = {
    "an error": (500, b"{}"),
    "a redirect": (302, b"https://evil.example/"),
    "no JSON": (200, b"<html>"),
    "JSON of another kind": (200, b'["keys"]'),
    "no keys": (200, b'{"keys": []}'),
    "a key of another kind": (200, b'{"keys": [{"kty": "oct", "kid": "KID", "k": "c2VjcmV0"}]}'),
    "too much": (200, b" " * LARGEST_ANSWER_BYTES + b"{}"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_unusable_keys_are_none(fresh: AccessStandIn, send: Caller, kind: str) -> None:
    """An answer without usable keys lets nobody in; after a few seconds it is asked for again."""
    status, body = BROKEN[kind]
    fresh.answers_with = status, body.replace(b"KID", fresh.keys[0].name.encode())
    assert send(fresh.token(), confused(fresh, "secret")) == [503, 503]
    fresh.answers_with = None
    assert send(fresh.token()) == [503]
    send.clock.now += SHORT_PAUSE_S
    assert send(fresh.token()) == [200]


def test_keys_of_the_last_day_still_count(fresh: AccessStandIn, send: Caller) -> None:
    """If the keys cannot be fetched again, those of the last day still count, and then none do."""
    assert send(fresh.token()) == [200]
    fresh.answers_with = 500, b""
    send.clock.now += FRESH_S + 1
    assert send(fresh.token(), fresh.token(SigningKey())) == [200, 503]
    send.clock.now += LONGEST_USE_S
    assert send(fresh.token()) == [503]


def test_certificate_that_is_not_trusted(fresh: AccessStandIn, send: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys from a server whose certificate is not trusted are not used."""
    with AccessStandIn() as other:
        monkeypatch.setenv("SSL_CERT_FILE", str(other.ca_bundle))
        assert send(fresh.token()) == [503]
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere.pem")
    send.clock.now += SHORT_PAUSE_S
    assert send(fresh.token()) == [503]
    assert fresh.fetched == 0


# -- the start ---------------------------------------------------------------------------------------------

TEAM = "example.cloudflareaccess.com"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"TEAM": TEAM}, "Set both"),
        ({"AUDIENCE": AUDIENCE}, "Set both"),
        ({"TEAM": "example", "AUDIENCE": AUDIENCE}, "without https://"),
        ({"TEAM": f"https://{TEAM}", "AUDIENCE": AUDIENCE}, "without https://"),
        ({"TEAM": f"{TEAM}/", "AUDIENCE": AUDIENCE}, "without https://"),
        ({"TEAM": f"{TEAM}:99999", "AUDIENCE": AUDIENCE}, "without https://"),
        ({"TEAM": TEAM, "AUDIENCE": "7335d417-61da-459d-899c-0a01c76a2f94"}, "the AUD tag"),
    ],
)
def test_half_of_a_configuration(tmp_path: Path, settings: dict[str, str], said: str) -> None:
    """Only one of the two settings, or one that is not what it should be, is an error at the start."""
    named = {f"WEIGHBRIDGE_FORM_ACCESS_{name}": value for name, value in settings.items()}
    done = weighbridge("form", folder=tmp_path, **named)
    assert done.returncode == 1
    assert said in done.stderr.decode()
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "value"), [("WEIGHBRIDGE_FORM_PASSWORD", "planted-password"), ("WEIGHBRIDGE_FORM_SIGN_IN", "proxy")]
)
def test_one_sign_in_alone(tmp_path: Path, name: str, value: str) -> None:
    """A second way to sign in besides Access is an error at the start."""
    access = {"WEIGHBRIDGE_FORM_ACCESS_TEAM": TEAM, "WEIGHBRIDGE_FORM_ACCESS_AUDIENCE": AUDIENCE}
    done = weighbridge("form", folder=tmp_path, **access, **{name: value})
    assert done.returncode == 1
    assert "Expected one of WEIGHBRIDGE_FORM_PASSWORD" in done.stderr.decode()
