"""weighbridge login: asks, signs in, stores the token, and never shows the password."""

from __future__ import annotations

import io
import json
import os
import pty
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from curl_cffi.requests import Session

from weighbridge.garmin.attempts import COOL_DOWN_S, RATE_LIMIT_COOL_DOWN_S, Attempts
from weighbridge.garmin.sessions.garth import GarthSession
from weighbridge.garmin.tokens import TokenStore
from weighbridge.operate.surroundings import Terminal

from .commands import NOBODY, WEIGHBRIDGE, clean, nobody, run, with_sources
from .garmin.server import GarminStandIn

RANGE = "/weight-service/weight/range/2026-11-01/2026-11-02"


@pytest.fixture
def env(garmin: GarminStandIn, tmp_path: Path) -> dict[str, str]:
    return {
        "WEIGHBRIDGE_TOKENS": str(tmp_path / "tokens"),
        "GARMIN_DOMAIN": garmin.domain,
        "GARMIN_CA_BUNDLE": str(garmin.ca_bundle),
    }


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """garth waits 1.5 to 4 seconds between two pages, to look like a person; the stand-in does not mind."""
    import garth.sso.widget_strategy

    monkeypatch.setattr(garth.sso.widget_strategy.random, "uniform", lambda _low, _high: 0.0)


def answers(*texts: str) -> Callable[[str], str]:
    left = list(texts)
    return lambda _prompt: left.pop(0)


def person(
    *,
    ask: Callable[[str], str] = nobody,
    ask_secret: Callable[[str], str] = nobody,
    open_page: Callable[[str], bool] = lambda _address: False,
    container: bool = False,
) -> Terminal:
    return Terminal(ask, ask_secret, open_page, lambda: container, lambda: True)


def sign_in(garmin: GarminStandIn, env: dict[str, str], *argv: str, password: str = "", now: float = 0.0) -> int:
    return run(
        ["login", *argv],
        env,
        person(
            ask=answers(garmin.account.email),
            ask_secret=answers(password or garmin.account.password, garmin.account.mfa_code or "none"),
        ),
        now=lambda: now or time.time(),
    )


def nobody_has_to_wait(env: dict[str, str]) -> bool:
    """Whether no attempt has failed, and none waits for its code."""
    return Attempts(Path(env["WEIGHBRIDGE_TOKENS"]), now=time.time).path.read_bytes() == b""


# -- signing in ------------------------------------------------------------------------------------------


def test_real_terminal(garmin: GarminStandIn, env: dict[str, str], tmp_path: Path) -> None:
    """At a real terminal, a sign-in with a code stores a token that works, and no secret is echoed."""
    garmin.account.mfa_code = "734512"
    terminal, ours = pty.openpty()
    process = subprocess.Popen(
        [*WEIGHBRIDGE, "login"],
        cwd=tmp_path,
        env=with_sources(clean(env)),
        stdin=ours,
        stdout=ours,
        stderr=ours,
        start_new_session=True,
    )
    os.close(ours)
    screen = b""

    def until(words: bytes) -> None:
        nonlocal screen
        while words not in screen:
            screen += os.read(terminal, 1024)

    try:
        for prompt, answer in (
            (b"e-mail: ", garmin.account.email),
            (b"Password (not shown): ", garmin.account.password),
            (b"Code from your e-mail or app (not shown): ", "734512"),
        ):
            until(prompt)
            os.write(terminal, answer.encode() + b"\n")
        until(b"extends it.")
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
    token = TokenStore(Path(env["WEIGHBRIDGE_TOKENS"])).read()
    assert token is not None
    assert b"30 days" in screen
    for secret in (garmin.account.password, "734512", token.access_token.get_secret_value()):
        assert secret.encode() not in screen
    session = GarthSession(
        TokenStore(Path(env["WEIGHBRIDGE_TOKENS"])), domain=garmin.domain, ca_bundle=garmin.ca_bundle
    )
    assert session.request("GET", RANGE).status == 200


@pytest.mark.usefixtures("impatient")
def test_name(garmin: GarminStandIn, env: dict[str, str]) -> None:
    """--name stores the token under that name."""
    assert sign_in(garmin, env, "--name", "anna") == 0
    assert TokenStore(Path(env["WEIGHBRIDGE_TOKENS"]), "anna").read() is not None


@pytest.mark.usefixtures("impatient")
def test_cool_down(garmin: GarminStandIn, env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """After each failure the next attempt has to wait longer, and Garmin is not asked before."""
    now = 1_000_000.0
    for number, wait_s in enumerate(COOL_DOWN_S[:3], start=1):
        assert sign_in(garmin, env, password="wrong", now=now) == 1
        assert "this e-mail" in capsys.readouterr().err
        asked = len(garmin.requests)
        assert run(["login"], env, NOBODY, now=lambda at=now + wait_s - 1: at) == 1  # type: ignore[misc]
        assert "--ignore-cool-down" in capsys.readouterr().err
        assert (len(garmin.requests), garmin.sign_in.failed_sign_ins) == (asked, number)
        now += wait_s
    assert sign_in(garmin, env, now=now) == 0
    assert nobody_has_to_wait(env)


@pytest.mark.usefixtures("impatient")
def test_ignore_cool_down(garmin: GarminStandIn, env: dict[str, str]) -> None:
    """--ignore-cool-down tries again at once."""
    assert sign_in(garmin, env, password="wrong") == 1
    assert sign_in(garmin, env, "--ignore-cool-down") == 0


@pytest.mark.usefixtures("impatient")
def test_rate_limit_cool_down(garmin: GarminStandIn, env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """After a rate limit the waiting time is longer than after a wrong password."""
    garmin.faults.add("sso/signin-page", "429-html")
    assert sign_in(garmin, env, now=1_000_000) == 1
    assert run(["login"], env, NOBODY, now=lambda: 1_000_000 + RATE_LIMIT_COOL_DOWN_S - 1) == 1
    assert "Wait 1 second before" in capsys.readouterr().err


@pytest.mark.usefixtures("impatient")
def test_network_failure(garmin: GarminStandIn, env: dict[str, str]) -> None:
    """A network failure causes no waiting time."""
    assert sign_in(garmin, {**env, "GARMIN_CA_BUNDLE": ""}) == 1
    assert sign_in(garmin, env) == 0


def test_unwritable_folder(env: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that is not writable is noticed before any question."""
    (tmp_path / "file").write_text("")
    assert run(["login"], {**env, "WEIGHBRIDGE_TOKENS": str(tmp_path / "file")}, NOBODY) == 1
    assert "WEIGHBRIDGE_TOKENS" in capsys.readouterr().err


def test_no_terminal(env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal nothing is stored, and the message says why."""

    def end_of_input(_prompt: str) -> str:
        raise EOFError

    assert run(["login"], env, person(ask=end_of_input)) == 1
    assert "at a terminal" in capsys.readouterr().err


def test_password_argument(env: dict[str, str]) -> None:
    """There is no option for a password."""
    assert run(["login", "--password", "x"], env, NOBODY) == 2


# -- the user's own browser ------------------------------------------------------------------------------


class Browser:
    """A person with their own browser: opens the page that is shown, signs in, and copies the address."""

    def __init__(self, garmin: GarminStandIn) -> None:
        self.garmin = garmin
        self.address = ""
        self.before_pasting: Callable[[], None] = lambda: None
        self.copy: Callable[[str], str] = lambda address: address

    def open(self, address: str) -> bool:
        with Session(verify=cast(Any, str(self.garmin.ca_bundle))) as session:
            answer = session.get(address)
            account = self.garmin.account
            fields = [{"username": account.email, "password": account.password}]
            fields += [{"mfa-code": account.mfa_code}] if account.mfa_code else []
            for form in fields:
                csrf = answer.text.partition('name="_csrf" value="')[2].partition('"')[0]
                answer = session.post(address, data={**form, "_csrf": csrf}, allow_redirects=False)
            self.address = answer.headers["location"] or ""
        return True

    def paste(self, _question: str) -> str:
        self.before_pasting()
        return self.copy(self.address)


@pytest.fixture
def browser(garmin: GarminStandIn) -> Browser:
    return Browser(garmin)


def just_the_ticket(address: str) -> str:
    return address.partition("ticket=")[2]


@pytest.mark.parametrize("code", [None, "734512"], ids=["no code", "code"])
@pytest.mark.parametrize("copy", [str, just_the_ticket, lambda address: f"  {address}&x=1\n"])
def test_ticket(
    garmin: GarminStandIn,
    env: dict[str, str],
    browser: Browser,
    capsys: pytest.CaptureFixture[str],
    code: str | None,
    copy: Callable[[str], str],
) -> None:
    """The last address of the browser is exchanged for a token that works, and the ticket is not printed."""
    garmin.account.mfa_code = code
    browser.copy = copy
    terminal = person(ask_secret=browser.paste, open_page=browser.open)
    assert run(["login", "--way", "browser"], env, terminal) == 0
    output = capsys.readouterr()
    assert "clientId=GCM_ANDROID_DARK" in output.out
    assert "ST-0" not in output.out + output.err
    assert just_the_ticket(browser.address) not in output.out + output.err
    store = TokenStore(Path(env["WEIGHBRIDGE_TOKENS"]))
    session = GarthSession(store, domain=garmin.domain, ca_bundle=garmin.ca_bundle)
    assert session.request("GET", RANGE).status == 200


def test_ticket_too_late(
    garmin: GarminStandIn, env: dict[str, str], browser: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    """A ticket that comes too late is reported, and causes no waiting time."""
    garmin.sign_in.ticket_lifetime_s = -1
    terminal = person(ask_secret=browser.paste, open_page=browser.open)
    assert run(["login", "--way", "browser"], env, terminal) == 1
    error = capsys.readouterr().err
    assert "only for some seconds" in error
    assert just_the_ticket(browser.address) not in error
    garmin.sign_in.ticket_lifetime_s = 10
    assert run(["login", "--way", "browser"], env, terminal) == 0


def test_ticket_works_once(env: dict[str, str], browser: Browser, capsys: pytest.CaptureFixture[str]) -> None:
    """A ticket works only once."""
    terminal = person(ask_secret=browser.paste, open_page=browser.open)
    assert run(["login", "--way", "browser"], env, terminal) == 0
    assert run(["login", "--way", "browser"], env, person(ask_secret=browser.paste)) == 1
    assert "works once" in capsys.readouterr().err


@pytest.mark.parametrize("pasted", ["", "https://connect.garmin.com/app/home", "ticket=", "correct horse"])
def test_no_ticket(garmin: GarminStandIn, env: dict[str, str], capsys: pytest.CaptureFixture[str], pasted: str) -> None:
    """A text without a ticket is not sent and not printed."""
    assert run(["login", "--way", "browser"], env, person(ask_secret=answers(pasted))) == 1
    error = capsys.readouterr().err
    assert "no ticket" in error
    assert not pasted or pasted == "ticket=" or pasted not in error
    assert garmin.requests == []


@pytest.mark.parametrize(
    ("fault", "words"),
    [("429", "wait"), ("403-cloudflare", "another network"), ("503", "is not working"), ("drop-before", "reached"),
     ("firewall-html", "not a token")],
)  # fmt: skip
def test_ticket_exchange_fails(
    garmin: GarminStandIn,
    env: dict[str, str],
    browser: Browser,
    capsys: pytest.CaptureFixture[str],
    fault: str,
    words: str,
) -> None:
    """If the exchange of the ticket fails, the message says why, without the ticket."""
    garmin.faults.add("diauth/token", fault, times=None)
    assert run(["login", "--way", "browser"], env, person(ask_secret=browser.paste, open_page=browser.open)) == 1
    error = capsys.readouterr().err
    assert words in error
    assert just_the_ticket(browser.address) not in error


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("fault", ["429-html", "403-cloudflare", "firewall-html"])
def test_password_blocked(
    garmin: GarminStandIn, env: dict[str, str], browser: Browser, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    """When Garmin blocks the password, the browser is the next way."""
    garmin.faults.add("sso/signin-page", fault, times=None)
    secrets = iter([lambda _: garmin.account.password, browser.paste])
    terminal = person(
        ask=answers(garmin.account.email), ask_secret=lambda question: next(secrets)(question), open_page=browser.open
    )
    assert run(["login"], env, terminal) == 0
    assert "The next way, browser" in capsys.readouterr().err
    assert TokenStore(Path(env["WEIGHBRIDGE_TOKENS"])).read() is not None


@pytest.mark.usefixtures("impatient")
def test_browser_during_cool_down(
    garmin: GarminStandIn, env: dict[str, str], browser: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    """During the waiting time after a wrong password, the browser may be used."""
    assert sign_in(garmin, env, password="wrong") == 1
    assert run(["login"], env, NOBODY) == 1
    assert "--way browser" in capsys.readouterr().err
    assert run(["login", "--way", "browser"], env, person(ask_secret=browser.paste, open_page=browser.open)) == 0


@pytest.mark.usefixtures("impatient")
def test_locked_account(garmin: GarminStandIn, env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """A locked account is not tried in another way."""
    for _ in range(5):
        sign_in(garmin, env, "--ignore-cool-down", password="wrong")
    capsys.readouterr()
    assert garmin.sign_in.locked
    assert sign_in(garmin, env, "--ignore-cool-down") == 1
    error = capsys.readouterr().err
    assert "Garmin has locked this account" in error
    assert "next way" not in error


# -- what is stored works --------------------------------------------------------------------------------

READ = "weight/range"


def reads(garmin: GarminStandIn) -> int:
    return sum(logged.route == READ for logged in garmin.requests)


@pytest.mark.usefixtures("impatient")
def test_one_read_before_stored(garmin: GarminStandIn, env: dict[str, str]) -> None:
    """A new token is stored after exactly one read with it."""
    assert sign_in(garmin, env) == 0
    assert reads(garmin) == 1
    assert garmin.sign_in.refreshes == 0


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("fault", ["401", "403"])
def test_refused_token(
    garmin: GarminStandIn, env: dict[str, str], browser: Browser, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    """If Garmin refuses the token that it has issued, the next way takes over; nothing is stored, nobody waits."""
    path = garmin.write_token(Path(env["WEIGHBRIDGE_TOKENS"]))
    before = path.read_text()
    garmin.faults.add(READ, fault, times=None)
    secrets = iter([lambda _: garmin.account.password, browser.paste])
    stored_meanwhile: list[str] = []
    browser.before_pasting = lambda: stored_meanwhile.append(path.read_text())
    terminal = person(
        ask=answers(garmin.account.email), ask_secret=lambda question: next(secrets)(question), open_page=browser.open
    )
    assert run(["login"], env, terminal) == 1
    output = capsys.readouterr()
    assert "Garmin refused the new token, so it was not stored." in output.err
    assert "The next way, browser" in output.err
    assert (reads(garmin), garmin.sign_in.refreshes) == (2, 0), "one read for each"
    assert "Stored" not in output.out
    assert "weighbridge login" not in output.err, "signing in again is what has just been done"
    assert [*stored_meanwhile, path.read_text()] == [before, before]
    assert nobody_has_to_wait(env)


@pytest.mark.usefixtures("impatient")
def test_next_way_works(garmin: GarminStandIn, env: dict[str, str], browser: Browser) -> None:
    """If only the first token is refused, that of the next way is stored."""
    garmin.faults.add(READ, "403", times=1)
    secrets = iter([lambda _: garmin.account.password, browser.paste])
    terminal = person(
        ask=answers(garmin.account.email), ask_secret=lambda question: next(secrets)(question), open_page=browser.open
    )
    assert run(["login"], env, terminal) == 0
    assert reads(garmin) == 2
    assert TokenStore(Path(env["WEIGHBRIDGE_TOKENS"])).read() is not None


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("fault", ["429", "503", "drop-before", "firewall-html"])
def test_token_not_tried(
    garmin: GarminStandIn, env: dict[str, str], capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    """If the read has no answer that says anything about the token, nothing is stored, and no other way is tried."""
    path = garmin.write_token(Path(env["WEIGHBRIDGE_TOKENS"]))
    before = path.read_text()
    garmin.faults.add(READ, fault, times=None)
    assert sign_in(garmin, env) == 1
    error = capsys.readouterr().err
    assert "could not be tried, so it was not stored" in error
    assert "next way" not in error
    assert path.read_text() == before
    assert nobody_has_to_wait(env)


def test_refused_import(
    garmin: GarminStandIn, env: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An imported token that Garmin refuses does not replace the stored one, and is not spent."""
    path = garmin.write_token(Path(env["WEIGHBRIDGE_TOKENS"]))
    before = path.read_text()
    file = tmp_path / "token.json"
    file.write_text(json.dumps(garmin.issue_token()))
    garmin.faults.add(READ, "401", times=1)
    assert run(["login", "--import", str(file)], env, NOBODY) == 1
    output = capsys.readouterr()
    assert output.err == ("Garmin refused the new token, so it was not stored. It answered a read with HTTP 401.\n")
    assert "Stored" not in output.out
    assert (path.read_text(), reads(garmin), garmin.sign_in.refreshes) == (before, 1, 0)
    assert run(["login", "--import", str(file)], env, NOBODY) == 0, "a fault of Garmin's that passes"


def test_ended_import(
    garmin: GarminStandIn, env: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An imported token that is too old to be used, and that Garmin does not renew, does not replace the stored one."""
    path = garmin.write_token(Path(env["WEIGHBRIDGE_TOKENS"]))
    before = path.read_text()
    file = tmp_path / "token.json"
    file.write_text(json.dumps({**garmin.issue_token(), "expires_at": 1.0}))
    garmin.revoke()
    assert run(["login", "--import", str(file)], env, NOBODY) == 1
    assert "Garmin refused the new token, so it was not stored." in capsys.readouterr().err
    assert (path.read_text(), reads(garmin)) == (before, 0)


@pytest.mark.parametrize(("fault", "code"), [(None, 0), ("503", 1), ("403-cloudflare", 1)])
def test_renewed_import(
    garmin: GarminStandIn,
    env: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    fault: str | None,
    code: int,
) -> None:
    """If an imported token has to be renewed first, the new one is never lost, even if the read then fails."""
    file = tmp_path / "token.json"
    file.write_text(json.dumps({**garmin.issue_token(), "expires_at": 1.0}))
    if fault:
        garmin.faults.add(READ, fault)
    assert run(["login", "--import", str(file)], env, NOBODY) == code
    output = capsys.readouterr()
    if fault:
        assert "renewed and stored, but could not be tried" in output.err
        assert output.err.endswith("To try it: weighbridge doctor\n")
    store = TokenStore(Path(env["WEIGHBRIDGE_TOKENS"]))
    session = GarthSession(store, domain=garmin.domain, ca_bundle=garmin.ca_bundle)
    assert session.request("GET", RANGE).status == 200
    assert garmin.sign_in.refreshes == 1


def test_import_into_a_full_folder(
    garmin: GarminStandIn, env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An imported token is not renewed if the new one could not be stored."""
    file = tmp_path / "token.json"
    file.write_text(json.dumps({**garmin.issue_token(), "expires_at": 1.0}))
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=1000))
    assert run(["login", "--import", str(file)], env, NOBODY) == 1
    assert garmin.requests == []


# -- the next command ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("delivery", "argv", "last"),
    [
        ("", [], "To upload them: WEIGHBRIDGE_DELIVERY=garmin,folder weighbridge serve"),
        ("folder", ["--name", "anna"], "To upload them: WEIGHBRIDGE_DELIVERY=garmin,folder weighbridge serve"),
        ("garmin,folder", [], "To check every link with this account: weighbridge doctor"),
        ("garth", ["--name", "anna"], "To check every link with this account: weighbridge doctor --name anna"),
    ],
)
def test_next_command(
    garmin: GarminStandIn,
    env: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    delivery: str,
    argv: list[str],
    last: str,
) -> None:
    """The last line is the next command: to upload, if readings are still only kept as files, or else the check."""
    assert sign_in(garmin, {**env, "WEIGHBRIDGE_DELIVERY": delivery}, *argv) == 0
    assert capsys.readouterr().out.endswith(f"{last}\n")


def test_next_command_in_a_container(
    garmin: GarminStandIn, env: dict[str, str], browser: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a container, the next command is one of Compose."""
    terminal = person(ask_secret=browser.paste, open_page=browser.open, container=True)
    assert run(["login", "--way", "browser"], env, terminal) == 0
    assert capsys.readouterr().out.endswith("in .env, and then: docker compose up --detach\n")


# -- several people --------------------------------------------------------------------------------------

TWO = '[[person]]\nname = "Anna"\n[[person]]\nname = "Ben"\ntoken = "{token}"\n'


def with_people(env: dict[str, str], folder: Path, token: str) -> dict[str, str]:
    people = folder / "people.toml"
    people.write_text(TWO.format(token=token))
    return {**env, "WEIGHBRIDGE_PEOPLE": str(people)}


def test_whose(garmin: GarminStandIn, env: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With several people, a sign-in without --name is refused with their names, and no token is touched."""
    path = garmin.write_token(Path(env["WEIGHBRIDGE_TOKENS"]))
    before = path.read_text()
    for argv in ([], ["--import-env"], ["--way", "browser"], ["--way", "window"], ["--name", "default"]):
        assert run(["login", *argv], with_people(env, tmp_path, "b"), NOBODY) == 1
        assert "Add --name anna or --name b." in capsys.readouterr().err
    assert (path.read_text(), garmin.requests) == (before, [])


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("token", "argv", "stored"), [("default", [], "default"), ("b", ["--name", "b"], "b")])
def test_named(
    garmin: GarminStandIn, env: dict[str, str], tmp_path: Path, token: str, argv: list[str], stored: str
) -> None:
    """A person who is named signs in, and without --name the one whose token is the default."""
    assert sign_in(garmin, with_people(env, tmp_path, token), *argv) == 0
    assert [path.name for path in Path(env["WEIGHBRIDGE_TOKENS"]).glob("[!.]*.json")] == [f"{stored}.json"]


# -- in a container --------------------------------------------------------------------------------------


def test_container(env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """In a container, the commands for signing in on another machine are shown."""

    def end_of_input(_prompt: str) -> str:
        raise EOFError

    assert run(["login", "--name", "anna"], env, person(ask=end_of_input, container=True)) == 1
    shown = capsys.readouterr().out
    assert "weighbridge login --name anna" in shown
    assert "--name anna --import - < tokens/anna.json" in shown
    assert env["WEIGHBRIDGE_TOKENS"] in shown


# -- importing -------------------------------------------------------------------------------------------


def garminconnects(issued: dict[str, object]) -> str:
    names = {"di_token": "access_token", "di_refresh_token": "refresh_token", "di_client_id": "client_id"}
    return json.dumps({theirs: issued[ours] for theirs, ours in names.items()})


@pytest.mark.parametrize("form", [json.dumps, garminconnects])
@pytest.mark.parametrize("way", ["file", "stdin", "variable"])
def test_import(
    garmin: GarminStandIn,
    env: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    form: Callable[[dict[str, object]], str],
    way: str,
) -> None:
    """A token of another tool is imported and works, and is not printed."""
    issued = garmin.issue_token()
    file = tmp_path / "token.json"
    file.write_text(form(issued))
    monkeypatch.setattr(sys, "stdin", io.StringIO(form(issued)))
    argv = {"file": ["--import", str(file)], "stdin": ["--import", "-"], "variable": ["--import-env"]}[way]
    assert run(["login", *argv], {**env, "GARTH_TOKEN": form(issued)}, NOBODY) == 0
    output = capsys.readouterr()
    assert "nowhere else" in output.out
    assert str(issued["access_token"]) not in output.out + output.err
    assert str(issued["refresh_token"]) not in output.out + output.err
    store = TokenStore(Path(env["WEIGHBRIDGE_TOKENS"]))
    session = GarthSession(store, domain=garmin.domain, ca_bundle=garmin.ca_bundle)
    assert session.request("GET", RANGE).status == 200


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--import", "missing.json"], "cannot be read"),
        (["--import-env"], "GARTH_TOKEN is not set"),
        (["--name", "../x"], "letters"),
        (["--import", __file__], "a token file or a GARTH_TOKEN"),
    ],
)
def test_import_invalid(
    garmin: GarminStandIn, env: dict[str, str], capsys: pytest.CaptureFixture[str], argv: list[str], words: str
) -> None:
    """An import that fails is reported in one sentence, and the old token stays."""
    path = garmin.write_token(Path(env["WEIGHBRIDGE_TOKENS"]))
    before = path.read_text()
    assert run(["login", *argv], env, NOBODY) == 1
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert path.read_text() == before


def test_import_ended(
    garmin: GarminStandIn, env: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A token that has ended is not imported."""
    garmin.sign_in.refresh_token_lifetime_s = -10
    file = tmp_path / "token.json"
    file.write_text(json.dumps(garmin.issue_token()))
    assert run(["login", "--import", str(file)], env, NOBODY) == 1
    assert "already ended" in capsys.readouterr().err
    assert not Path(env["WEIGHBRIDGE_TOKENS"], "default.json").exists()
