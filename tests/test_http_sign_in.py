"""POST /sign-in: two steps, no secret anywhere, and what a caller may do about each refusal."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from weighbridge.errors import SignInEnded
from weighbridge.garmin.attempts import CODE_S, CODES, COOL_DOWN_S, Attempts
from weighbridge.garmin.sessions.garth import GarthSession
from weighbridge.garmin.sessions.steps import Pending
from weighbridge.garmin.tokens import TokenStore
from weighbridge.http.app import Shell
from weighbridge.secret import SecretStr

from .function_client import Answer, client_of
from .garmin.server import GarminStandIn
from .skips import NOT_HERE

RANGE = "/weight-service/weight/range/2026-11-01/2026-11-02"
ADMIN = "the administrator's key"
CODE = "734512"
PEOPLE = '[[person]]\nname = "Anna"\n[[person]]\nname = "Ben"\n'


@dataclass
class Caller:
    """A caller of a new function, whose clock can be put forward."""

    garmin: GarminStandIn
    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    later_s: float = 0.0
    log: list[str] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    #: Set up before each step with a password.
    prepare: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        environment = {
            "WEIGHBRIDGE_API_KEYS": f"admin:send+read+delete+administer={ADMIN.replace(' ', '-')}",
            "WEIGHBRIDGE_TOKENS": str(self.folder),
            "WEIGHBRIDGE_DELIVERY": "garth",
            "GARMIN_DOMAIN": self.garmin.domain,
            "GARMIN_CA_BUNDLE": str(self.garmin.ca_bundle),
            **self.settings,
        }
        now = lambda: datetime.now(UTC) + timedelta(seconds=self.later_s)  # noqa: E731
        self._client = client_of(Shell({k: v for k, v in environment.items() if v}, self.log.append, now))

    def ask(self, method: str, body: object = None, *, person: str = "", **options: Any) -> Answer:
        headers = {"Authorization": f"Bearer {ADMIN.replace(' ', '-')}", **options.pop("headers", {})}
        path = f"/sign-in?person={person}" if person else "/sign-in"
        answer = self._client.open(path, method=method, json=body, headers=headers, **options)
        self.answers.append(answer)
        return answer

    def password(self, password: str = "", **options: Any) -> Answer:
        self.prepare()
        account = self.garmin.account
        return self.ask("POST", {"email": account.email, "password": password or account.password}, **options)

    def code(self, first: Answer, code: str = CODE, **options: Any) -> Answer:
        return self.ask("POST", {"state": first.json["state"], "code": code}, **options)

    def works(self, name: str = "default") -> bool:
        """Whether the stored token is one with which Garmin can be read."""
        store = TokenStore(self.folder, name)
        if store.read() is None:
            return False
        session = GarthSession(store, domain=self.garmin.domain, ca_bundle=self.garmin.ca_bundle)
        return session.request("GET", RANGE).status == 200


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the pauses with which garth imitates a person."""
    import garth.sso.widget_strategy

    monkeypatch.setattr(garth.sso.widget_strategy.random, "uniform", lambda _low, _high: 0.0)


@pytest.fixture
def caller(garmin: GarminStandIn, tmp_path: Path) -> Caller:
    return Caller(garmin, tmp_path / "tokens")


@pytest.fixture(params=["garth", "garminconnect"])
def either(request: pytest.FixtureRequest, caller: Caller, monkeypatch: pytest.MonkeyPatch) -> Iterator[Caller]:
    """A caller whose sign-ins are made by one library, or by the other because the first is blocked."""
    if request.param == "garminconnect":
        if sys.version_info < (3, 12) or importlib.util.find_spec("garminconnect") is None:
            pytest.skip(
                f"{NOT_HERE}garminconnect needs Python 3.12 or newer; make test-garminconnect runs this with one"
            )
        import garminconnect.client

        monkeypatch.setattr(garminconnect.client.time, "sleep", lambda _: None)
        caller.prepare = lambda: caller.garmin.faults.add("sso/signin-page", "403-cloudflare", times=1)
    return caller


def problem(answer: Answer, status: int, slug: str) -> dict[str, Any]:
    assert (answer.status_code, answer.json["type"]) == (status, f"urn:weighbridge:{slug}"), answer.text
    document: dict[str, Any] = answer.json
    return document


# -- the two steps -----------------------------------------------------------------------------------------


def test_without_a_code(either: Caller) -> None:
    """A right password stores a token that works, and the answer says who is signed in, and until when."""
    answer = either.password()
    assert answer.status_code == 200
    assert {**answer.json, "until": "", "browser_page": ""} == {
        "signed_in": True,
        "signed_in_as": "runner",
        "until": "",
        "uploads": True,
        "browser_page": "",
    }
    days = (datetime.fromisoformat(answer.json["until"]) - datetime.now(UTC)) / timedelta(days=1)
    assert days == pytest.approx(30, abs=0.1)
    assert either.works()
    assert either.ask("GET").json == answer.json


def test_with_a_code(either: Caller) -> None:
    """With a second factor, the first step asks for the code, and the second stores the token."""
    either.garmin.account.mfa_code = CODE
    first = either.password()
    assert first.status_code == 202
    ends = datetime.fromisoformat(first.json["expires_at"]) - datetime.now(UTC)
    assert ends.total_seconds() == pytest.approx(CODE_S, abs=20)
    assert not either.works()
    assert either.ask("GET").json["signed_in"] is False
    assert either.code(first).json["signed_in"] is True
    assert either.works()


def test_another_process_finishes(caller: Caller) -> None:
    """What one process began, another one can finish."""
    caller.garmin.account.mfa_code = CODE
    first = caller.password()
    assert Caller(caller.garmin, caller.folder).code(first).status_code == 200


def test_wrong_password(either: Caller) -> None:
    """A wrong password is named, stores nothing, and leaves an older token as it is."""
    before = either.garmin.write_token(either.folder).read_text()
    refused = problem(either.password("wrong"), 422, "sign-in-rejected")
    assert refused["detail"].startswith("Garmin rejected this e-mail or password.")
    assert (refused["blame"], refused["again"]) == ("caller", "after_repair")
    assert (either.folder / "default.json").read_text() == before
    assert either.garmin.sign_in.failed_sign_ins == 1


def test_wrong_code_then_the_right_one(either: Caller) -> None:
    """After a wrong code, the right one may be typed with the same state."""
    either.garmin.account.mfa_code = CODE
    first = either.password()
    for _ in range(CODES - 1):
        problem(either.code(first, "000000"), 422, "code-rejected")
    assert either.code(first, f" {CODE}\n".strip()).status_code == 200
    assert either.works()


def test_too_many_wrong_codes(either: Caller) -> None:
    """After three wrong codes the sign-in ends, and the next one has to wait: Garmin counts each towards its lock."""
    either.garmin.account.mfa_code = CODE
    first = either.password()
    answers = [either.code(first, "000000") for _ in range(CODES)]
    assert [answer.json["type"].rpartition(":")[2] for answer in answers] == [
        *["code-rejected"] * (CODES - 1),
        "codes-used-up",
    ]
    problem(either.code(first), 410, "sign-in-ended")
    problem(either.password(), 429, "cool-down")


def test_state_ends(caller: Caller) -> None:
    """A state ends after five minutes, and Garmin is not asked."""
    caller.garmin.account.mfa_code = CODE
    first = caller.password()
    asked = len(caller.garmin.requests)
    caller.later_s = CODE_S + 1
    problem(caller.code(first), 410, "sign-in-ended")
    assert len(caller.garmin.requests) == asked
    caller.later_s = 0
    problem(caller.code(first), 410, "sign-in-ended")


def test_state_works_once(caller: Caller) -> None:
    """A state that was used, or whose sign-in was followed by another, works no more."""
    caller.garmin.account.mfa_code = CODE
    first, second = caller.password(), caller.password()
    problem(caller.code(first), 410, "sign-in-ended")
    assert caller.code(second).status_code == 200
    problem(caller.code(second), 410, "sign-in-ended")


def test_state_of_another_person(garmin: GarminStandIn, tmp_path: Path) -> None:
    """A state signs in the person for whom it began, and nobody else."""
    (tmp_path / "people.toml").write_text(PEOPLE)
    caller = Caller(garmin, tmp_path / "tokens", {"WEIGHBRIDGE_PEOPLE": str(tmp_path / "people.toml")})
    garmin.account.mfa_code = CODE
    first = caller.password(person="Anna")
    problem(caller.code(first, person="Ben"), 410, "sign-in-ended")
    problem(caller.code(first), 400, "query-invalid")
    assert caller.code(first, person="anna").status_code == 200
    assert (caller.works("anna"), caller.works("ben")) == (True, False)
    assert caller.ask("GET", person="Ben").json["signed_in"] is False


# -- refusals ----------------------------------------------------------------------------------------------


def test_locked_account(either: Caller) -> None:
    """A locked account is named, and not tried with another library."""
    either.garmin.sign_in._failures_in_a_row = 5
    assert "has locked this account" in problem(either.password(), 422, "account-locked")["detail"]


@pytest.mark.parametrize(
    ("route", "fault", "words"),
    [
        ("sso/signin-page", "403-cloudflare", "Cloudflare blocked the sign-in"),
        ("sso/signin", "400-captcha", "captcha"),
        ("sso/signin-page", "firewall-html", "not as expected"),
        ("weight/range", "401", "Garmin refused the new token, so it was not stored."),
        ("weight/range", "403", "Garmin refused the new token, so it was not stored."),
    ],
)
def test_blocked(caller: Caller, route: str, fault: str, words: str) -> None:
    """Where Garmin lets no program in, the problem says so in a form that leads to the own browser."""
    caller.garmin.faults.add(route, fault, times=None)
    detail = problem(caller.password(), 502, "sign-in-blocked")["detail"]
    assert words in detail or "None of garminconnect's five ways" in detail
    assert not (caller.folder / "default.json").exists()


def test_cool_down(caller: Caller) -> None:
    """After a failure, the next password has to wait; the answer says how long, and Garmin is not asked."""
    caller.password("wrong")
    asked = len(caller.garmin.requests)
    answer = caller.password()
    waits = problem(answer, 429, "cool-down")
    assert 0 < waits["retry_after_s"] <= COOL_DOWN_S[0]
    assert answer.headers["Retry-After"] == str(waits["retry_after_s"])
    assert caller.ask("GET").json["retry_after_s"] == pytest.approx(waits["retry_after_s"], abs=5)
    assert len(caller.garmin.requests) == asked
    caller.later_s = COOL_DOWN_S[0] + 1
    assert caller.password().status_code == 200
    assert "retry_after_s" not in caller.ask("GET").json


def test_rate_limit(caller: Caller) -> None:
    """If Garmin asks to wait, the next password has to wait for an hour."""
    caller.garmin.faults.add("sso/signin-page", "429-html", times=None)
    problem(caller.password(), 503, "rate-limited")
    assert problem(caller.password(), 429, "cool-down")["retry_after_s"] > 3500


def test_one_at_a_time(caller: Caller) -> None:
    """While somebody else signs in to the account, in whatever process, another one is asked to come back."""
    with Attempts(caller.folder, now=time.time).turn():
        problem(caller.password(), 503, "busy")
        problem(caller.ask("DELETE"), 503, "busy")
    assert caller.garmin.requests == []
    assert caller.password().status_code == 200


# -- the own browser ---------------------------------------------------------------------------------------


def ticket(garmin: GarminStandIn) -> str:
    return garmin.sign_in.issue_ticket(f"https://mobile.integration.{garmin.domain}/gcm/android")


@pytest.mark.parametrize("form", ["{}", "https://mobile.integration.garmin.com/gcm/android?ticket={}"])
def test_ticket(caller: Caller, form: str) -> None:
    """The ticket of the own browser, alone or in its address, stores a token; even while a password has to wait."""
    caller.password("wrong")
    assert caller.ask("GET").json["browser_page"].startswith(f"https://sso.{caller.garmin.domain}/mobile/sso")
    assert caller.ask("POST", {"ticket": form.format(ticket(caller.garmin))}).json["signed_in"] is True
    assert caller.works()
    assert "retry_after_s" not in caller.ask("GET").json


def test_ticket_too_late(caller: Caller) -> None:
    """A ticket that is too old, or none, is named, and nobody has to wait for it."""
    caller.garmin.sign_in.ticket_lifetime_s = -1
    late = problem(caller.ask("POST", {"ticket": ticket(caller.garmin)}), 422, "ticket-rejected")
    assert "only for some seconds" in late["detail"]
    none = problem(caller.ask("POST", {"ticket": "https://connect.garmin.com/"}), 422, "ticket-rejected")
    assert "no ticket" in none["detail"]
    caller.garmin.sign_in.ticket_lifetime_s = 10
    assert caller.password().status_code == 200


# -- afterwards --------------------------------------------------------------------------------------------


def test_sign_out(caller: Caller) -> None:
    """Signing out deletes the token and the name; signing out twice changes nothing."""
    caller.password()
    for _ in range(2):
        assert caller.ask("DELETE").status_code == 204
    state = caller.ask("GET").json
    assert (state["signed_in"], "signed_in_as" in state) == (False, False)
    assert "no Garmin token" in state["detail"]
    assert not (caller.folder / "default.json").exists()
    assert b"runner" not in (caller.folder / "default.state").read_bytes()


def test_revoked_token(caller: Caller) -> None:
    """A token that Garmin has revoked counts as signed out, once somebody has noticed."""
    caller.password()
    caller.garmin.revoke()
    caller.garmin.expire_access_tokens()
    with pytest.raises(Exception, match="no longer renews"):
        caller.works()
    state = caller.ask("GET").json
    assert (state["signed_in"], "no longer" in state["detail"]) == (False, True)
    assert caller.password().json["signed_in"] is True


def test_files_only(garmin: GarminStandIn, tmp_path: Path) -> None:
    """Where readings are only kept as files, the answer says that signing in does not change that."""
    caller = Caller(garmin, tmp_path / "tokens", {"WEIGHBRIDGE_DELIVERY": "folder"})
    assert caller.password().json["uploads"] is False


def test_name_is_not_needed(caller: Caller) -> None:
    """Without the name of the account, the sign-in still succeeds."""
    caller.garmin.faults.add("profile", "503", times=None)
    assert "signed_in_as" not in caller.password().json
    assert caller.works()


# -- who may -----------------------------------------------------------------------------------------------

KEYS = "home=a-key-with-all-rights,guest:send+read=a-key-of-a-guest,ben:administer@Ben=the-key-of-benjamin"


@pytest.mark.parametrize(
    ("key", "status", "words"),
    [
        ("", 401, "Send the key"),
        ("not-a-configured-key", 401, "not a configured key"),
        ("a-key-with-all-rights", 403, "home:send+read+delete+administer="),
        ("a-key-of-a-guest", 403, "lacks the right to administer"),
        ("the-key-of-benjamin", 403, "not for this person"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_rights(garmin: GarminStandIn, tmp_path: Path, method: str, key: str, status: int, words: str) -> None:
    """Only a key that names the right to administer may sign in, for its own people."""
    (tmp_path / "people.toml").write_text(PEOPLE)
    people = {"WEIGHBRIDGE_PEOPLE": str(tmp_path / "people.toml"), "WEIGHBRIDGE_API_KEYS": KEYS}
    caller = Caller(garmin, tmp_path / "tokens", people)
    answer = caller.ask(
        method,
        {"ticket": "ST-1"},
        person="Anna",
        headers={"Authorization": f"Bearer {key}"} if key else {"Authorization": ""},
    )
    assert (answer.status_code, words in answer.json["detail"]) == (status, True)
    assert not (tmp_path / "tokens").exists()


def test_key_of_this_machine(garmin: GarminStandIn, tmp_path: Path) -> None:
    """Who can read the key of this machine may sign in: it is the user of the function."""
    key = tmp_path / "key"
    caller = Caller(garmin, tmp_path / "tokens", {"WEIGHBRIDGE_API_KEYS": "", "WEIGHBRIDGE_LOCAL_KEY": str(key)})
    caller.ask("GET")  # makes the key
    header = key.read_text().partition(": ")[2].strip()
    assert caller.password(headers={"Authorization": header}).status_code == 200


@pytest.mark.parametrize(
    ("address", "headers", "proxies", "allowed"),
    [
        ("127.0.0.1", {}, "", True),
        ("::1", {}, "", True),
        ("127.0.0.1", {}, "127.0.0.1", True),
        ("192.168.1.7", {}, "", False),
        ("192.168.1.7", {"X-Forwarded-Proto": "https"}, "", False),
        ("127.0.0.1", {"X-Forwarded-Proto": "https"}, "", False),
        ("127.0.0.1", {"X-Forwarded-For": "192.168.1.7"}, "", False),
        ("127.0.0.1", {"CF-Connecting-IP": "192.168.1.7"}, "127.0.0.1", False),
        ("10.0.0.1", {"X-Forwarded-Proto": "https"}, "10.0.0.0/8", True),
        ("10.0.0.1", {"X-Forwarded-Proto": "http"}, "10.0.0.0/8", False),
        ("10.0.0.1", {"X-Forwarded-Proto": "http, https"}, "10.0.0.0/8", False),
        ("10.0.0.1", {}, "10.0.0.0/8", False),
    ],
)
def test_private_way(
    garmin: GarminStandIn, tmp_path: Path, address: str, headers: dict[str, str], proxies: str, allowed: bool
) -> None:
    """A password is only taken over HTTPS, or from this machine without a proxy in between that nobody has named."""
    caller = Caller(garmin, tmp_path / "tokens", {"WEIGHBRIDGE_TRUSTED_PROXIES": proxies})
    answer = caller.password(address=address, headers=headers)
    assert answer.status_code == (200 if allowed else 403), answer.text
    assert allowed or "HTTPS" in answer.json["detail"]


@pytest.mark.parametrize(
    ("address", "headers", "callers", "allowed"),
    [
        ("10.0.0.5", {}, "form", True),
        ("::ffff:10.0.0.5", {}, "nobody.example, form", True),
        ("10.0.0.5", {}, "10.0.0.0/29", True),
        ("10.0.0.6", {}, "form", False),
        ("10.0.0.5", {}, "nobody.example", False),
        ("10.0.0.5", {"CF-Connecting-IP": "192.168.1.7"}, "form", False),
        ("10.0.0.5", {"X-Forwarded-Proto": "http"}, "form", False),
    ],
)
def test_private_caller(
    garmin: GarminStandIn,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    address: str,
    headers: dict[str, str],
    callers: str,
    allowed: bool,
) -> None:
    """A caller that is named, as Compose's page is, needs no HTTPS, unless a proxy has sent its request on."""

    def look_up(name: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        if name != "form":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.5", 0))]

    caller = Caller(garmin, tmp_path / "tokens", {"WEIGHBRIDGE_PRIVATE_CALLERS": callers})
    with monkeypatch.context() as network:
        network.setattr(socket, "getaddrinfo", look_up)
        answer = caller.ask("GET", address=address, headers=headers)
    assert answer.status_code == (200 if allowed else 403), answer.text
    assert allowed or "WEIGHBRIDGE_PRIVATE_CALLERS" in answer.json["detail"]


# -- what is sent ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        "correct horse",
        {"email": "a@b.c"},
        {"email": "a@b.c", "password": "correct horse", "code": CODE},
        {"email": "a@b.c", "password": ""},
        {"email": "a@b.c", "password": 734512},
        {"state": "x", "code": 734512},
        {"state": "x", "code": "  "},
        {"ticket": "ST-1\nX-Injected: 1"},
        {"ticket": "x" * 5_000},
        {"email": "a@b.c", "password": "correct horse \ud800"},
    ],
)
def test_invalid_body(caller: Caller, body: object) -> None:
    """What is none of the steps is refused, without a word of what came, and Garmin is not asked."""
    answer = caller.ask("POST", json.loads(json.dumps(body)))
    assert answer.status_code in (400, 422)
    for word in ("correct horse", CODE, "Injected", "a@b.c", "ST-1"):
        assert word not in answer.text
    assert caller.garmin.requests == []


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_only_json(caller: Caller, kind: str) -> None:
    """A body that a form of another page could send is refused."""
    answer = caller._client.open(
        "/sign-in",
        method="POST",
        data=b'{"ticket": "ST-1"}',
        content_type=kind or "text/html",
        headers={"Authorization": f"Bearer {ADMIN.replace(' ', '-')}"},
    )
    problem(answer, 415, "media-type-unsupported")


def test_no_secret_anywhere(
    either: Caller, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Password, code, ticket, state and token are in no log, no output, no address and no problem, and neither password
    nor code is in a file."""
    caplog.set_level(logging.DEBUG)
    account = either.garmin.account
    account.password, account.mfa_code = "planted-Pa55word", "918273"
    either.password("planted-wr0ng")
    either.later_s = 100
    first = either.password()
    either.code(first, "564738")
    either.code(first, "918273")
    either.code(first, "918273")
    spent = ticket(either.garmin)
    either.ask("POST", {"ticket": spent})
    either.ask("POST", {"ticket": spent})
    assert [answer.status_code for answer in either.answers] == [422, 202, 422, 200, 410, 200, 422]
    token = TokenStore(either.folder).read()
    assert token is not None
    typed = ["planted-Pa55word", "planted-wr0ng", "918273", "564738"]
    secrets = [*typed, spent, first.json["state"], token.access_token.get_secret_value(), "ST-0"]
    out, err = capfd.readouterr()
    shown = "\n".join(
        [out, err, *either.log, *(record.getMessage() for record in caplog.records)]
        + [answer.text for answer in either.answers if answer is not first]
        + [f"{logged.host}{logged.path}" for logged in either.garmin.requests]
    )
    assert [secret for secret in secrets if secret in shown] == []
    kept = b"".join(path.read_bytes() for path in either.folder.iterdir())
    assert [secret for secret in typed if secret.encode() in kept] == []
    assert all(path.stat().st_mode & 0o077 == 0 for path in either.folder.iterdir())


def test_unexpected_exception(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that nobody expected shows neither its message nor the password."""
    account = caller.garmin.account

    def broken(*_args: object, **_options: object) -> None:
        raise RuntimeError(account.password)

    monkeypatch.setattr("garth.sso.login", broken)
    answer = caller.password()
    assert answer.status_code == 500
    assert account.password not in answer.text + "".join(caller.log)


def waiting_file(caller: Caller) -> Path:
    return caller.folder / ".default.attempt"


@pytest.fixture
def pending(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What waits for a code, whenever a library says so."""
    seen: list[str] = []
    of = Pending.of.__func__  # type: ignore[attr-defined]

    def noted(cls: type[Pending], content: dict[str, Any]) -> Pending:
        seen.append(json.dumps(content))
        return of(cls, content)  # type: ignore[no-any-return]

    monkeypatch.setattr(Pending, "of", classmethod(noted))
    return seen


def test_waiting_is_sealed(either: Caller, pending: list[str]) -> None:
    """What waits for a code is in no backup and readable by its owner only, who finds no cookie, address or state in
    it; also after a wrong code, and never twice the same."""
    account = either.garmin.account
    account.mfa_code = CODE
    first = either.password()
    path = waiting_file(either)
    kept = [path.read_bytes()]
    problem(either.code(first, "000000"), 422, "code-rejected")
    kept.append(path.read_bytes())
    assert (path.stat().st_mode & 0o777, os.access(path, os.R_OK)) == (0o600, True)
    held = {text for content in pending for text in long_texts(json.loads(content))}
    assert any("cookies" in content for content in pending)
    assert len(held) >= 2
    secrets = [account.email, account.password, first.json["state"], *held]
    assert [secret for secret in secrets for content in kept if secret.encode() in content] == []
    sealed = [bytes.fromhex(json.loads(content)["waiting"]["content"]) for content in kept]
    assert [secret for secret in secrets for content in sealed if secret.encode() in content] == []
    assert sealed[0][:16] != sealed[1][:16]
    assert [each.name for each in either.folder.iterdir() if not each.name.startswith(".")] == []
    assert either.code(first).status_code == 200


def long_texts(value: object) -> set[str]:
    """The values of a document that nobody else writes by chance."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    here = {value} if isinstance(value, str) and len(value) >= 8 else set()
    return here.union(*map(long_texts, inner))


@given(st.integers(0, 10_000), st.sampled_from(["state", "file"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
def test_changed_byte_ends_it(tmp_path_factory: pytest.TempPathFactory, number: int, where: str) -> None:
    """With one byte changed, in the state or in what is kept, the sign-in has ended; with all of them, it has not."""
    attempts = Attempts(tmp_path_factory.getbasetemp() / "changed", now=lambda: 1_795_000_000.25)
    with attempts.turn() as turn:
        state, _ = turn.wait_for_code("garth", Pending.of({"cookies": [{"value": "abc"}]}))
        assert turn.waiting(state).pending.read() == {"cookies": [{"value": "abc"}]}
    if where == "state":
        state = SecretStr(flipped(state.get_secret_value().encode(), number).decode())
    else:
        before, _, kept = attempts.path.read_bytes().partition(b'"waiting"')
        attempts.path.write_bytes(before + flipped(b'"waiting"' + kept, number))
    with attempts.turn() as turn, pytest.raises(SignInEnded):
        turn.waiting(state)


def flipped(content: bytes, number: int) -> bytes:
    """With the last bit of one byte changed."""
    at = number % len(content)
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.parametrize("later_s", [CODE_S + 1, -3600])
def test_what_has_ended_is_removed(caller: Caller, later_s: float) -> None:
    """After five minutes, or when the clock was set back, whoever only asks for the connection removes what waited,
    and nothing else."""
    caller.password("wrong")
    caller.later_s = COOL_DOWN_S[0] + 1
    caller.garmin.account.mfa_code = CODE
    caller.password()
    caller.ask("GET")
    assert json.loads(waiting_file(caller).read_bytes())["waiting"]
    caller.later_s += later_s
    caller.ask("GET")
    kept = json.loads(waiting_file(caller).read_bytes())
    assert (kept["waiting"], kept["failures"]) == (None, 1)
