"""Signing in to Garmin on the page, in a real Chromium, around a real function and a stand-in for Garmin."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from streamlit.testing.v1 import AppTest

from tests.e2e.parts.form import form, function
from tests.e2e.test_form_page import (
    KEY,
    OTHER_VIEWS,
    PHONE,
    VIEWS,
    FormSite,
    View,
    axe,
    button,
    chromium,
    click,
    findings,
    settle,
    site,
)
from tests.function_client import local_headers, process
from tests.garmin.server import GarminStandIn
from weighbridge.garmin.attempts import CODE_S
from weighbridge.secret import SecretStr

__all__ = ["axe", "chromium", "site"]  # fixtures

CODE = "734512"


def open_signed_out(site: FormSite, folder: Path, view: View = (PHONE, "light"), **settings: object) -> Page:
    """The page of a function to which nobody has signed in."""
    page = site.open(*view, WEIGHBRIDGE_TOKENS=folder / "nobody", **settings)
    expect(page.get_by_role("heading", name="Connect to Garmin")).to_be_visible()
    return page


def password(page: Page, site: FormSite, password: str = "") -> None:
    page.get_by_label("Garmin e-mail").fill(site.garmin.account.email)
    page.get_by_label("Garmin password").fill(password or site.garmin.account.password)
    click(page, "Sign in to Garmin")
    settle(page)


def code(page: Page, text: str) -> None:
    page.get_by_label("Code", exact=True).fill(text)
    click(page, "Continue")
    settle(page)


def ask(site: FormSite, method: str = "GET") -> dict[str, Any]:
    """What the function says about the connection."""
    asked = urllib.request.Request(f"{site.function}/sign-in", headers=local_headers(), method=method)
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return dict(json.loads(answer.read() or b"{}"))


@VIEWS
def test_second_factor(site: FormSite, tmp_path: Path, view: View, axe: str) -> None:
    """E-mail and password, a wrong code, the right code: signed in, with the name and the end; and out again."""
    site.garmin.account.mfa_code = CODE
    page = open_signed_out(site, tmp_path, view)
    assert findings(page, axe) == [], "asking for the password"
    page.emulate_media(color_scheme="dark")
    assert findings(page, axe) == [], "in the dark"
    password(page, site)
    code(page, "000000")
    expect(page.get_by_text("Garmin rejected this code. Use the newest one.")).to_be_visible()
    assert findings(page, axe) == [], "with a wrong code"
    code(page, CODE)
    expect(page.get_by_role("heading", name="Connect to Garmin")).to_be_hidden()
    page.locator("summary", has_text="Signed in to Garmin as runner").click()
    expect(page.get_by_text("Each weigh-in extends it.")).to_be_visible()
    assert findings(page, axe) == [], "signed in"
    assert ask(site)["signed_in"] is True
    click(page, "Sign out of Garmin")
    expect(page.get_by_role("heading", name="Connect to Garmin")).to_be_visible()
    assert ask(site)["signed_in"] is False


@OTHER_VIEWS
def test_wrong_password_waits(site: FormSite, tmp_path: Path, view: View, axe: str) -> None:
    """After a wrong password the page says so, keeps the e-mail address, and counts down until the next try."""
    page = open_signed_out(site, tmp_path, view)
    password(page, site, "wrong")
    expect(page.get_by_text("Garmin rejected this e-mail or password.")).to_be_visible()
    expect(button(page, "Sign in to Garmin")).to_be_disabled()
    expect(page.get_by_label("Garmin e-mail")).to_have_value(site.garmin.account.email)
    expect(page.get_by_label("Garmin password")).to_have_value("")
    waits = page.get_by_text("You can try a password again in")
    first = waits.inner_text()
    expect(waits).not_to_have_text(first)
    assert findings(page, axe) == [], "while it waits"
    page.reload()
    expect(page.get_by_text("You can try a password again in")).to_be_visible()


@VIEWS
def test_own_browser(site: FormSite, tmp_path: Path, view: View) -> None:
    """Where Garmin blocks the password, the page opens the other way by itself, and the ticket signs in."""
    site.garmin.faults.add("sso/signin-page", "403-cloudflare", times=None)
    page = open_signed_out(site, tmp_path, view)
    password(page, site)
    expect(page.get_by_text("Cloudflare blocked the sign-in")).to_be_visible()
    link = page.get_by_role("link", name="Open Garmin's page")
    expect(link).to_be_visible()
    assert f"https://sso.{site.garmin.domain}/mobile/sso" in str(link.get_attribute("href"))
    service = f"https://mobile.integration.{site.garmin.domain}/gcm/android"
    ticket = site.garmin.sign_in.issue_ticket(service)
    page.get_by_label("Address of the next page").fill(f"{service}?ticket={ticket}")
    click(page, "Sign in with this address")
    expect(page.get_by_role("heading", name="Connect to Garmin")).to_be_hidden()
    assert ask(site)["signed_in"] is True


@OTHER_VIEWS
@pytest.mark.parametrize(
    ("route", "fault", "words"),
    [("sso/signin", "400-captcha", "captcha"), ("", "", "Garmin has locked this account")],
    ids=["captcha", "locked"],
)
def test_refused(site: FormSite, tmp_path: Path, route: str, fault: str, words: str, view: View) -> None:
    """A captcha and a locked account are named, with what to do."""
    if route:
        site.garmin.faults.add(route, fault, times=None)
    else:
        site.garmin.sign_in._failures_in_a_row = 5
    page = open_signed_out(site, tmp_path, view)
    password(page, site)
    expect(page.get_by_text(words).first).to_be_visible()


@VIEWS
def test_code_too_late(site: FormSite, tmp_path: Path, view: View) -> None:
    """A code that comes after the five minutes leads back to the password. Garmin is not asked, and nothing of the
    attempt is left."""
    site.garmin.account.mfa_code = CODE
    page = open_signed_out(site, tmp_path, view)
    password(page, site)
    expect(page.get_by_label("Code", exact=True)).to_be_visible()
    waiting = tmp_path / "nobody" / ".default.attempt"
    kept = json.loads(waiting.read_bytes())
    assert 0 < kept["waiting"]["expires_at"] - time.time() <= CODE_S
    kept["waiting"]["expires_at"] = time.time() - 1
    waiting.write_text(json.dumps(kept))
    asked = len(site.garmin.requests)
    code(page, CODE)
    expect(page.get_by_text("This sign-in has ended. Start again.")).to_be_visible()
    expect(page.get_by_label("Garmin password")).to_be_visible()
    assert len(site.garmin.requests) == asked
    assert json.loads(waiting.read_bytes() or b'{"waiting": null}')["waiting"] is None


@OTHER_VIEWS
def test_revoked_token(site: FormSite, view: View) -> None:
    """When Garmin has revoked the token, the page asks to sign in again, and then shows what Garmin has."""
    page = site.open(*view)
    expect(page.get_by_text("Garmin has no weigh-ins in this period.")).to_be_visible()
    site.garmin.revoke()
    site.garmin.expire_access_tokens()
    page.reload()
    expect(page.get_by_text("Garmin no longer").first).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Connect to Garmin")).to_be_visible()
    password(page, site)
    expect(page.get_by_role("heading", name="Connect to Garmin")).to_be_hidden()
    expect(page.get_by_text("Garmin has no weigh-ins in this period.")).to_be_visible()


def test_who_may_not_administer(site: FormSite, tmp_path: Path, chromium: Browser) -> None:
    """With a key that does not name the right to administer, the page says what to do, and why."""
    page = site.open(
        PHONE, WEIGHBRIDGE_TOKENS=tmp_path / "nobody", WEIGHBRIDGE_API_KEYS=f"home={KEY}", WEIGHBRIDGE_DELIVERY="folder"
    )
    field = page.get_by_label("Key of the function", exact=True)
    field.fill(KEY)
    field.press("Enter")
    settle(page)
    expect(page.get_by_role("heading", name="Connect to Garmin")).to_be_visible()
    expect(page.get_by_text("weighbridge login", exact=True).first).to_be_visible()
    expect(page.get_by_label("Garmin password")).to_have_count(0)
    page.get_by_text("Why not here?").click()
    expect(page.get_by_text("its rights are not named")).to_be_visible()


def test_nothing_typed_is_left(site: FormSite, tmp_path: Path) -> None:
    """Password and code are in no address, no log of the page, no field, and not in what the page stores."""
    site.garmin.account.password, site.garmin.account.mfa_code = "planted-Pa55word", "918273"
    page = open_signed_out(site, tmp_path)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    password(page, site)
    code(page, "564738")
    expect(page.get_by_text("Garmin rejected this code. Use the newest one.")).to_be_visible()
    code(page, "918273")
    expect(page.get_by_role("heading", name="Connect to Garmin")).to_be_hidden()
    settle(page)
    assert site.form
    stored = page.evaluate("JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}])")
    traces = [site.form.log.read_text(), "\n".join([*asked, page.url]), page.content(), stored]
    for typed in ("planted-Pa55word", "918273", "564738"):
        assert [trace for trace in traces if typed in trace] == []


def test_planted_secrets_leave_no_trace(site: FormSite, tmp_path: Path) -> None:
    """Password, codes, tickets and the token that Garmin gives are in no log of the function or the page, no exception
    there or in the browser, no address, no list of processes, and nothing that the browser keeps; right, wrong, or cut
    off by a fault."""
    garmin, tokens = site.garmin, tmp_path / "tokens"
    garmin.account.password, garmin.account.mfa_code = "planted-Pa55word", "918273"
    settings = {"WEIGHBRIDGE_DELIVERY": "garth", "WEIGHBRIDGE_FOLDER": tmp_path / "kept", "WEIGHBRIDGE_TOKENS": tokens,
                "GARMIN_DOMAIN": garmin.domain, "GARMIN_CA_BUNDLE": garmin.ca_bundle}  # fmt: skip
    with process(settings) as (site.function, running), form(tmp_path, site.function) as site.form:
        page = site.on(PHONE, "light")
        asked: list[str] = []
        said: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        password(page, site)
        code(page, "564738")
        expect(page.get_by_text("Garmin rejected this code. Use the newest one.")).to_be_visible()
        code(page, "918273")
        page.locator("summary", has_text="Signed in to Garmin as runner").click()
        secrets = {garmin.account.password, "564738", "918273", *long_texts(read_token(tokens))}
        click(page, "Sign out of Garmin")
        for fault, words in (("firewall-html", "not a token"), ("", "Signed in to Garmin as runner")):
            if fault:
                garmin.faults.add("diauth/token", fault, times=None)
            else:
                garmin.faults.clear()
            settle(page)
            field = page.get_by_label("Address of the next page")
            if not field.is_visible():
                page.get_by_text("Use your own browser instead").click()
            service = f"https://mobile.integration.{garmin.domain}/gcm/android"
            ticket = garmin.sign_in.issue_ticket(service)
            secrets.add(ticket)
            field.fill(f"{service}?ticket={ticket}")
            click(page, "Sign in with this address")
            expect(page.get_by_text(words).first).to_be_visible()
            # The toast is there before the card goes.
            if fault:
                expect(field).to_have_value("")
            else:
                expect(field).to_have_count(0)
            settle(page)
        secrets |= long_texts(read_token(tokens))
        assert len(secrets) >= 3 + 2 + 4, "the password, two codes, two tickets, and the tokens of two sign-ins"
        programs = [Path(f"/proc/{pid}/cmdline").read_bytes().decode() for pid in (running.pid, site.form.pid)]
        stored = page.evaluate("JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}])")
        logs = [running.log(), site.form.log.read_text()]
        traces = [*logs, *programs, *said, *asked, page.url, page.content(), stored]
        assert [(secret, trace) for secret in secrets for trace in traces if secret in trace] == []
        assert [log for log in logs if "Traceback" in log] == []


def read_token(folder: Path) -> object:
    return json.loads((folder / "default.json").read_text())


def long_texts(value: object) -> set[str]:
    """What could be a secret in this document."""
    if isinstance(value, dict):
        return set().union(*map(long_texts, value.values()))
    if isinstance(value, list):
        return set().union(*map(long_texts, value))
    return {value} if isinstance(value, str) and len(value) >= 20 and " " not in value else set()


# -- without a browser -------------------------------------------------------------------------------------

SECRETS = ("planted-Pa55word", "918273", "564738", "ST-")


@pytest.fixture
def open_app(garmin: GarminStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], AppTest]]:
    with ExitStack() as stack:

        def open_() -> AppTest:
            address = stack.enter_context(function(garmin, tmp_path, WEIGHBRIDGE_TOKENS=tmp_path / "nobody"))
            monkeypatch.setenv("WEIGHBRIDGE_URL", address)
            app = Path(__file__).parents[2] / "integrations" / "web_form" / "weighbridge_form" / "app.py"
            monkeypatch.setattr("streamlit.runtime.context.ContextProxy.url", "http://localhost:8501/")
            return AppTest.from_file(str(app), default_timeout=60).run()

        yield open_


@pytest.mark.parametrize(
    ("address", "asks"),
    [
        ("http://192.168.1.5:8501/", False),
        ("http://scales.example/weigh/", False),
        ("http://localhost.example:8501/", False),
        ("", False),
        ("https://scales.example/weigh/", True),
        ("http://127.0.0.1:8501/", True),
        ("http://[::1]:8501/", True),
    ],
)
def test_password_is_asked_for_in_private(
    open_app: Callable[[], AppTest], monkeypatch: pytest.MonkeyPatch, address: str, asks: bool
) -> None:
    """The page asks for a password over https:// or on its own computer. Where others could read along, it has no
    field for one, nor for an address with a ticket, and says what to do."""
    app = open_app()
    monkeypatch.setattr("streamlit.runtime.context.ContextProxy.url", address)
    app.run()
    keys = {field.key for field in app.text_input}
    assert ("garmin password" in keys, "garmin ticket" in keys) == (asks, False)
    assert any("open this page with https://" in text.value for text in app.markdown) is not asks
    assert any("Connect to Garmin" in header.value for header in app.header)


def test_session_keeps_nothing(garmin: GarminStandIn, open_app: Callable[[], AppTest]) -> None:
    """After each step, the session of the page holds neither password nor code, wherever one looks in it."""
    garmin.account.password, garmin.account.mfa_code = "planted-Pa55word", "918273"
    app = open_app()
    app.text_input(key="garmin e-mail").input(garmin.account.email)
    app.text_input(key="garmin password").input("planted-Pa55word")
    assert leaks(app) == [], "the test sees what the session holds"
    press(app, "Sign in to Garmin")
    for text in ("564738", "918273"):
        assert leaks(app) == []
        app.text_input(key="garmin code").input(text)
        press(app, "Continue")
    assert leaks(app) == []
    assert not app.exception
    assert any("Signed in to Garmin as runner" in each.label for each in app.expander)


def press(app: AppTest, label: str) -> None:
    next(each for each in app.button if each.label == label).click().run()


def leaks(app: AppTest) -> list[str]:
    """The secrets that can be found in the session, behind whatever hides them."""
    return [secret for secret in SECRETS if any(secret in text for text in texts_in(app.session_state._state, set()))]


def texts_in(value: object, seen: set[int]) -> Iterator[str]:
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, str):
        yield value
    elif isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from texts_in(key, seen)
            yield from texts_in(each, seen)
    elif isinstance(value, list | tuple | set):
        for each in value:
            yield from texts_in(each, seen)
    elif type(value).__module__.partition(".")[0] in ("streamlit", "weighbridge", "weighbridge_form"):
        names = [*getattr(value, "__dict__", ()), *getattr(type(value), "__slots__", ())]
        for name in names:
            yield from texts_in(getattr(value, name, None), seen)
    else:
        yield str(value)
