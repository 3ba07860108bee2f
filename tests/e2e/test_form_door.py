"""Who may open the page: real processes, plain connections and a Chromium."""

from __future__ import annotations

import asyncio
import http.client
import socket
from collections.abc import Callable, Iterator
from email.message import Message
from ipaddress import ip_network
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import httpx
import pytest
from playwright.sync_api import Browser, expect
from starlette.responses import PlainTextResponse
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from tests.commands import weighbridge
from tests.e2e.parts.form import Form, form, function
from tests.e2e.test_form_page import AXE, PHONE, audit, axe, chromium, click, expect_arrived, fill_nine
from tests.garmin.server import GarminStandIn
from tests.ports import free_port
from weighbridge.secret import SecretStr
from weighbridge_form.door import LONGEST_PAUSE_S, MOST_ADDRESSES, SESSION_S, Door, Sessions, WrongPasswords

__all__ = ["AXE", "axe", "chromium"]  # fixtures of the page

PASSWORD = "planted-password-0a1b"
KEY = "planted-key-of-the-function"
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Form]:
    """The page as it comes: on this machine, without a password."""
    with form(tmp_path_factory.mktemp("alone"), NOWHERE) as served:
        yield served


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Form]:
    """The page for others: on every address, with a password."""
    folder = tmp_path_factory.mktemp("opened")
    (folder / "password").write_text(f"{PASSWORD}\n")
    settings = {"WEIGHBRIDGE_FORM_PASSWORD_FILE": str(folder / "password"), "WEIGHBRIDGE_FORM_HOSTS": "scales.example"}
    with form(folder, NOWHERE, "--server.address=0.0.0.0", **settings) as served:
        yield served
        assert PASSWORD not in served.log.read_text()


class Answer(NamedTuple):
    status: int
    headers: Message
    said: str


def port_of(served: Form) -> int:
    return int(served.address.rpartition(":")[2])


def ask(served: Form, method: str = "GET", path: str = "/", body: str = "", **headers: str | list[str]) -> Answer:
    """A request with exactly these fields; `_` is `-`. Host is this machine's name, if it is not among them."""
    connection = http.client.HTTPConnection("127.0.0.1", port_of(served), timeout=30)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in ({"host": f"127.0.0.1:{port_of(served)}", "content_length": str(len(body))} | headers).items():
        for one in [value] if isinstance(value, str) else value:
            connection.putheader(name.replace("_", "-"), one)
    connection.endheaders(body.encode())
    answer = connection.getresponse()
    said = answer.read().decode()
    connection.close()
    return Answer(answer.status, answer.headers, said)


def web_socket(served: Form, host: str = "127.0.0.1", **fields: Any) -> int:
    """The status of the answer to a WebSocket's request."""
    address = f"ws://{host}:{port_of(served)}/_stcore/stream"
    try:
        with connect(address, subprotocols=[Subprotocol("streamlit")], proxy=None, **fields):
            return 101
    except InvalidStatus as e:
        return e.response.status_code


def sign_in(served: Form, password: str = PASSWORD, **headers: str) -> Answer:
    kind = "application/x-www-form-urlencoded"
    return ask(served, "POST", "/", urlencode({"password": password}), content_type=kind, **headers)


def cookie_of(answer: Answer) -> str:
    assert answer.status == 303
    return str(answer.headers["set-cookie"]).partition(";")[0]


# -- other web pages ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:PORT",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "",
        [],
        ["localhost"] * 2,
    ],
)
def test_another_host_is_misdirected(alone: Form, host: str | list[str]) -> None:
    """A request with another Host, none or two is refused: a name that someone else pointed at this machine."""
    sent = host.replace("PORT", str(port_of(alone))) if isinstance(host, str) else host
    answer = ask(alone, host=sent)
    # The server itself rejects a request without Host.
    assert answer.status in ((421,) if host else (421, 400))
    if isinstance(host, str) and host:
        assert "WEIGHBRIDGE_FORM_HOSTS" in answer.said


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:PORT", "LOCALHOST", "[::1]:PORT", "localhost."])
def test_names_of_this_machine_are_let_in(alone: Form, host: str) -> None:
    """Every name of this machine opens the page on it."""
    assert ask(alone, host=host.replace("PORT", str(port_of(alone)))).status == 200


def test_only_its_own_origin_may_ask(alone: Form) -> None:
    """Another web page gets 403 for a request and for a WebSocket, whichever name it came by."""
    own = alone.address
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1", "http://localhost.evil.example", "file://"):
        assert ask(alone, "PUT", "/_stcore/upload_file/a/b", origin=origin).status == 403
        assert ask(alone, origin=origin).status == 403
        assert web_socket(alone, origin=Origin(origin)) == 403
    with socket.create_connection(("127.0.0.1", port_of(alone))) as to_the_page:
        assert web_socket(alone, "evil.example", sock=to_the_page) == 421
    assert ask(alone, origin=own).status == 200
    assert web_socket(alone, origin=Origin(own)) == 101


def test_icons_need_no_session(opened: Form) -> None:
    """The icons and the manifest need no session, as phones ask for them without one."""
    for path in ("/manifest.webmanifest", "/icon.svg"):
        assert ask(opened, path=path).status == 200


@pytest.mark.parametrize("path", ["/", "/_stcore/health", "/_stcore/host-config", "/nowhere"])
def test_no_page_may_frame_it(alone: Form, opened: Form, path: str) -> None:
    """Every answer forbids frames and guessed types, signed in or not."""
    for answer in (ask(alone, path=path), ask(opened, path=path), ask(alone, path=path, host="evil.example")):
        assert "frame-ancestors 'none'" in ", ".join(answer.headers.get_all("content-security-policy", []))
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize("field", ["x_forwarded_for", "forwarded", "x_real_ip", "cf_connecting_ip"])
def test_proxy_needs_a_sign_in(alone: Form, field: str) -> None:
    """A page without a password is not served through a proxy or a tunnel."""
    answer = ask(alone, **{field: "203.0.113.7"})
    assert answer.status == 403
    assert "WEIGHBRIDGE_FORM_PASSWORD" in answer.said
    assert web_socket(alone, additional_headers={field.replace("_", "-"): "203.0.113.7"}) == 403


def test_sign_in_of_a_proxy(tmp_path: Path) -> None:
    """With WEIGHBRIDGE_FORM_SIGN_IN=proxy the page has no password, and still only its own hosts and origins."""
    settings = {"WEIGHBRIDGE_FORM_SIGN_IN": "proxy", "WEIGHBRIDGE_FORM_HOSTS": "scales.example"}
    with form(tmp_path, NOWHERE, "--server.address=0.0.0.0", **settings) as served:
        through = {"host": "scales.example", "x_forwarded_for": "203.0.113.7"}
        assert ask(served, **through, origin="https://scales.example").status == 200
        assert ask(served, **through, origin="https://evil.example").status == 403
        assert ask(served, host="evil.example").status == 421


def through(guarded: Door, address: str, **headers: str) -> httpx.Response:
    """What a door answers to this address."""

    async def call() -> httpx.Response:
        transport = httpx.ASGITransport(guarded, client=(address, 50_000))
        async with httpx.AsyncClient(transport=transport, base_url="http://home.example:8123") as client:
            return await client.get("/", headers={name.replace("_", "-"): value for name, value in headers.items()})

    return asyncio.run(call())


INGRESS, PREFIX = "172.30.32.2", "/api/hassio_ingress/token"


@pytest.mark.parametrize("password", [None, SecretStr(PASSWORD)])
def test_ingress_has_asked_for_a_sign_in(password: SecretStr | None) -> None:
    """Home Assistant's ingress opens the page without a password, under every name and in a frame of its own origin."""
    guarded = Door(PlainTextResponse("the page"), password=password, ingress=[ip_network(INGRESS)])
    answer = through(guarded, INGRESS, x_ingress_path=PREFIX, x_forwarded_for="192.0.2.1")
    assert (answer.status_code, answer.text) == (200, "the page")
    assert answer.headers["content-security-policy"] == "frame-ancestors 'self'"
    assert through(guarded, f"::ffff:{INGRESS}", x_ingress_path=PREFIX).status_code == 200
    assert through(guarded, INGRESS, x_ingress_path=PREFIX, origin="http://home.example:8123").status_code == 200
    assert through(guarded, INGRESS, x_ingress_path=PREFIX, origin="http://evil.example").status_code == 403


@pytest.mark.parametrize("password", [None, SecretStr(PASSWORD)])
def test_only_ingress_is_ingress(password: SecretStr | None) -> None:
    """Who only says to be ingress, or has its address alone, is let in like anyone else: not at all, without a
    password on another machine."""
    guarded = Door(
        PlainTextResponse("the page"), password=password, ingress=[ip_network(INGRESS)], hosts=["home.example"]
    )
    refused = 401 if password else 403
    for address, headers in (("172.30.32.3", {"x_ingress_path": PREFIX}), (INGRESS, {}), ("192.0.2.1", {})):
        answer = through(guarded, address, **headers)
        assert answer.status_code == refused
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    unnamed = Door(PlainTextResponse("the page"), password=password, ingress=[ip_network(INGRESS)])
    assert through(unnamed, "172.30.32.3", x_ingress_path=PREFIX).status_code == 421


# -- the start ---------------------------------------------------------------------------------------------

SET_PASSWORD, SET_HOSTS = "Set WEIGHBRIDGE_FORM_PASSWORD", "WEIGHBRIDGE_FORM_HOSTS is not set."


@pytest.mark.parametrize(
    ("address", "settings", "said"),
    [
        ("0.0.0.0", {}, SET_PASSWORD),
        ("::", {"WEIGHBRIDGE_FORM_HOSTS": "scales.example"}, SET_PASSWORD),
        ("192.0.2.1", {"WEIGHBRIDGE_FORM_HOSTS": "scales.example"}, SET_PASSWORD),
        ("0.0.0.0", {"WEIGHBRIDGE_FORM_PASSWORD": PASSWORD}, SET_HOSTS),
        ("0.0.0.0", {"WEIGHBRIDGE_FORM_SIGN_IN": "proxy"}, SET_HOSTS),
        ("0.0.0.0", {"WEIGHBRIDGE_FORM_SIGN_IN": "proxy", "WEIGHBRIDGE_FORM_PASSWORD": PASSWORD}, "got 2."),
        ("127.0.0.1", {"WEIGHBRIDGE_FORM_PASSWORD": "planted-0a1"}, "must be a password of 12 to 200 characters"),
        ("127.0.0.1", {"WEIGHBRIDGE_FORM_HOSTS": "http://scales.example"}, "without http:// and ports"),
        ("127.0.0.1", {"WEIGHBRIDGE_FORM_HOSTS": "scales.example:8501"}, "without http:// and ports"),
        ("0.0.0.0", {"WEIGHBRIDGE_FORM_INGRESS": INGRESS, "WEIGHBRIDGE_FORM_PASSWORD": PASSWORD}, SET_HOSTS),
        ("127.0.0.1", {"WEIGHBRIDGE_FORM_INGRESS": "home.example"}, "WEIGHBRIDGE_FORM_INGRESS must be addresses"),
        ("127.0.0.1", {"WEIGHBRIDGE_FORM_SIGN_IN": "none"}, "WEIGHBRIDGE_FORM_SIGN_IN must be proxy"),
    ],
)
def test_unsafe_page_does_not_start(tmp_path: Path, address: str, settings: dict[str, str], said: str) -> None:
    """A page that others would reach without a sign-in, or under no name, ends at once and says what to set."""
    done = weighbridge("form", "--server.address", address, folder=tmp_path, **settings)
    printed = done.stderr.decode()
    assert done.returncode == 1
    assert said in printed
    assert len(printed.splitlines()) == 1
    assert "planted" not in printed


# -- the sign-in -------------------------------------------------------------------------------------------


def test_nothing_passes_without_a_session(opened: Form) -> None:
    """Without a session only the sign-in and the health check answer."""
    page = ask(opened, accept="text/html")
    assert (page.status, page.headers["cache-control"]) == (401, "no-store")
    assert 'autocomplete="current-password"' in page.said
    for method, path in (
        ("GET", "/"),
        ("GET", "/static/js/index.js"),
        ("GET", "/_stcore/host-config"),
        ("GET", "/_stcore/metrics"),
        ("GET", "//evil.example/_stcore/health"),
        ("PUT", "/_stcore/upload_file/a/b"),
        ("DELETE", "/_stcore/upload_file/a/b"),
        ("OPTIONS", "/"),
        ("POST", "/"),
    ):
        assert ask(opened, method, path).status == 401, (method, path)
    assert web_socket(opened) == 401
    assert ask(opened, path="/_stcore/health").status == 200


def test_password_opens_the_page(opened: Form) -> None:
    """The password is exchanged for a cookie that opens page and WebSocket for 30 days; a changed cookie does not."""
    answer = sign_in(opened)
    cookie = cookie_of(answer)
    fields = answer.headers["set-cookie"].lower()
    assert answer.headers["location"] == "?"
    assert "httponly" in fields
    assert "samesite=lax" in fields
    assert "max-age=2592000" in fields
    assert "secure" not in fields
    assert PASSWORD not in fields
    assert ask(opened, cookie=cookie).status == 200
    assert ask(opened, cookie=cookie, host="scales.example").status == 200
    assert web_socket(opened, additional_headers={"Cookie": cookie}) == 101
    name, _, session = cookie.partition("=")
    ends, _, signature = session.partition(".")
    later = f"{name}={int(ends) + 1}.{signature}"
    for other in (later, f"{name}={ends}.", f"{name}=", f"{name}={ends}.ü", f"{name}={signature}", f"x{cookie}"):
        assert ask(opened, cookie=other.encode().decode("latin-1")).status == 401
    assert ask(opened, cookie=cookie, host="evil.example").status == 421
    assert web_socket(opened, origin=Origin("http://evil.example"), additional_headers={"Cookie": cookie}) == 403


def test_cookie_is_secure_behind_tls(opened: Form) -> None:
    """Behind a proxy with TLS the browser sends the cookie only over TLS."""
    answer = sign_in(opened, x_forwarded_proto="https", host="scales.example", origin="https://scales.example")
    cookie_of(answer)
    assert "secure" in answer.headers["set-cookie"].lower()
    assert sign_in(opened, origin="https://evil.example").status == 403


def test_sessions_end_with_the_password() -> None:
    """A session survives a restart, and ends after 30 days or with a new password."""
    session = Sessions(SecretStr(PASSWORD)).new(1_000.9)
    again, changed = Sessions(SecretStr(PASSWORD)), Sessions(SecretStr(PASSWORD + "!"))
    assert again.holds(session, 1_000 + SESSION_S - 1)
    assert not again.holds(session, 1_000 + SESSION_S)
    assert not changed.holds(session, 1_001)


def test_password_in_other_characters() -> None:
    """A password is the same however a keyboard composes its characters."""
    sessions = Sessions(SecretStr("caf\u00e9-planted-0a1b"))
    assert sessions.is_password("cafe\u0301-planted-0a1b")
    assert not sessions.is_password("cafe-planted-0a1b")
    assert not sessions.is_password("")


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def door(clock: Clock) -> Callable[..., httpx.Response]:
    """What posts a form to a door, from an address: -> the answer."""
    guarded = Door(PlainTextResponse("the page"), password=SecretStr(PASSWORD), now=clock)

    def post(content: bytes, address: str = "192.0.2.1") -> httpx.Response:
        async def call() -> httpx.Response:
            transport = httpx.ASGITransport(guarded, client=(address, 50_000))
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                kind = {"Content-Type": "application/x-www-form-urlencoded"}
                return await client.post("/", content=content, headers=kind)

        return asyncio.run(call())

    return post


def test_wrong_passwords_wait_ever_longer() -> None:
    """After a wrong password its address waits, longer each time; until then not even the right one is looked at."""
    clock, right = Clock(), urlencode({"password": PASSWORD}).encode()
    post = door(clock)
    waits = []
    for _ in range(8):
        assert post(b"password=wrong-planted-0a1b").status_code == 401
        answer = post(right)
        assert answer.status_code == 429
        waits.append(int(answer.headers["retry-after"]))
        assert post(right, "192.0.2.2").status_code == 303
        clock.now += waits[-1]
    assert waits == [1, 1, 2, 4, 8, 10, 10, 10]
    assert post(right).status_code == 303
    assert post(b"password=wrong").status_code == 401
    assert post(right).headers["retry-after"] == "1"


def test_one_network_is_one_address() -> None:
    """Addresses of one IPv6 network share their pause."""
    post = door(Clock())
    assert post(b"password=wrong", "2001:db8::1").status_code == 401
    assert post(b"password=wrong", "2001:db8::2").status_code == 429
    assert post(b"password=wrong", "2001:db8:0:1::1").status_code == 401
    assert post(b"password=wrong", "::ffff:192.0.2.9").status_code == 401
    assert post(b"password=wrong", "192.0.2.9").status_code == 429


def test_addresses_do_not_pile_up() -> None:
    """However many addresses try, the memory of them is limited, and the pause too."""
    wrong = WrongPasswords()
    for number in range(5 * MOST_ADDRESSES):
        wrong.note(f"address {number}", 0)
    for _ in range(5_000):
        wrong.note("one", 1)
    assert wrong.wait_s("one", 1) == LONGEST_PAUSE_S
    assert wrong.wait_s("address 0", 0) == 0


@pytest.mark.parametrize(
    "content",
    [b"", b"password=", b"password", b"\xff", b"password=%ff", b"a=1&" * 20, b"password=" + b"x" * 5_000, b"word=1"],
)
def test_unreadable_forms_are_wrong_passwords(content: bytes) -> None:
    """A form without a readable password is a wrong password, not an error."""
    assert door(Clock())(content).status_code == 401


def test_sign_in_on_a_phone_in_the_dark(garmin: GarminStandIn, tmp_path: Path, chromium: Browser, axe: str) -> None:
    """With the keyboard alone: a wrong password, the right one, a weigh-in with the server's key. No log has either."""
    expect.set_options(timeout=20_000)
    settings = {
        "WEIGHBRIDGE_FORM_PASSWORD": PASSWORD,
        "WEIGHBRIDGE_FORM_HOSTS": "scales.example",
        "WEIGHBRIDGE_KEY": KEY,
    }
    with (
        function(garmin, tmp_path, free_port(), WEIGHBRIDGE_API_KEYS=f"home={KEY}") as address,
        form(tmp_path, address, "--server.address=0.0.0.0", **settings) as served,
    ):
        context = chromium.new_context(viewport=PHONE, color_scheme="dark", timezone_id="Europe/Berlin")
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(served.address)
        assert audit(page, axe) == []
        field = page.get_by_label("Password of this page", exact=True)
        expect(field).to_be_focused()
        page.keyboard.type("wrong-planted-0a1b")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_have_text("This is not the password. Try again.")
        expect(field).to_have_accessible_description("This is not the password. Try again.")
        assert audit(page, axe) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        page.wait_for_timeout(1_000)  # the pause
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.get_by_text("Garmin has no weigh-ins in this period.")).to_be_visible()
        fill_nine(page)
        click(page, "Send to Garmin")
        expect_arrived(page)
        expect(page.get_by_label("Key of the function", exact=True)).to_have_count(0)
        for trace in (served.log.read_text(), "\n".join([*asked, page.url]), page.content()):
            assert "planted" not in trace
        context.close()
