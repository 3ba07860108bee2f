"""Who may open the page: a small ASGI application around Streamlit's.

Rule: nothing passes without all of these, neither a page, a file, an upload nor a WebSocket. `/_stcore/health` and the
icons and the manifest of home_screen.py need no session:

    Host         this machine's names, or one of WEIGHBRIDGE_FORM_HOSTS    else 421: a web page whose name was pointed
                                                                           at this machine (DNS rebinding) stops here
    Origin       if sent, the same host and port as Host                   else 403: another web page
    a session    a signed cookie, if there is a password                   else 401, and a page that asks for it
    a token      of Cloudflare Access, if that is configured (`access`)    else 403, or 503 if it cannot be checked

What Home Assistant's ingress sends on needs only the origin: it has asked for a sign-in, its cookie stops other names,
and its page, of the same origin, frames this one. It is known by its address and by `X-Ingress-Path`.

The password is in no log, no address and no exception. It is compared in constant time.

Facts: browsers always send `Origin` with a WebSocket and with a POST; with the policy `no-referrer` it would be "null".
A proxy may remove a prefix from the path, and only the browser knows it then. So every address that the page uses is
relative, and a cookie without a path belongs to the page that set it, as the browser sees it (RFC 6265, 5.1.4).

Strategy: nothing is stored. The key that signs the cookies is derived from the password by scrypt, so sessions outlive
a restart, a new password ends them all, and a stolen cookie does not help much in guessing the password. After a wrong
password, its address may not try again for a while: an answer that is only late does not stop who does not wait.

Weakness: people behind one address share its wrong passwords, so one of them can keep the others from signing in; who
is signed in notices nothing. A session cannot be ended alone. Without a password, other users of this machine, and
forwarding that leaves no trace in a request, reach the page.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import time
import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from html import escape
from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address, ip_address
from math import ceil
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from weighbridge.secret import SecretStr
from weighbridge.settings import LOOPBACK, Network

from .home_screen import HEAD, PUBLIC
from .looks import COLORS
from .words import Language, language_of, mark

if TYPE_CHECKING:
    # Its library is loaded only where Access is configured.
    from .access import Access

SESSION_S = 30 * 86_400
#: For wrong passwords from one address.
FIRST_PAUSE_S, LONGEST_PAUSE_S, FORGOTTEN_AFTER_S = 0.5, 10.0, 900.0
MOST_ADDRESSES = 1_000
#: Of the form with the password.
LONGEST_BODY_BYTES, LONGEST_BODY_S = 4_096, 10

#: Says whether the page is served, and nothing else.
HEALTH = "/_stcore/health"
#: What needs no session.
OPEN = PUBLIC | {HEALTH}
#: What proxies and tunnels add to a request.
FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "cf-connecting-ip", "via")

#: From Home Assistant's ingress.
INGRESS = "x-ingress-path"

EVERY_ANSWER = {
    "Content-Security-Policy": "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
IN_A_FRAME = EVERY_ANSWER | {"Content-Security-Policy": "frame-ancestors 'self'"}
OWN_ANSWER = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; manifest-src 'self'; "
    "form-action 'self'; base-uri 'none'",
}

NO_SIGN_IN = mark(
    "This page has no password, so it is not served through a proxy or a tunnel. Set WEIGHBRIDGE_FORM_PASSWORD, or "
    "WEIGHBRIDGE_FORM_ACCESS_TEAM and WEIGHBRIDGE_FORM_ACCESS_AUDIENCE for Cloudflare Access, or "
    "WEIGHBRIDGE_FORM_SIGN_IN=proxy if another proxy asks for a sign-in."
)
#: For a request that Cloudflare Access has not let in, and for one that cannot be checked.
NOT_BY_ACCESS = {
    HTTPStatus.FORBIDDEN: mark("Open this page under its address at Cloudflare Access, and sign in there."),
    HTTPStatus.SERVICE_UNAVAILABLE: mark(
        "The sign-in cannot be checked now. Try again in a minute; the log has the reason."
    ),
}


class Door:
    """The ASGI application that lets requests to `app` in, or answers them. `now`: in s since 1970."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Collection[str] = (),
        password: SecretStr | None = None,
        access: Access | None = None,
        behind_proxy: bool = False,
        ingress: Sequence[Network] = (),
        port: int = 0,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._app, self._now = app, now
        self._hosts = frozenset((*LOOPBACK, *hosts))
        self._sessions = Sessions(password) if password else None
        self._access = access
        #: Whether what a proxy or a tunnel sends on may pass without a session.
        self._behind_proxy = behind_proxy or access is not None
        self._ingress = tuple(ingress)
        #: A browser sends a cookie to every port of a host, so each port has one with its own name.
        self._cookie = f"weighbridge_form_{port}"
        self._wrong = WrongPasswords()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return

        request = HTTPConnection(scope)
        by_ingress = self._is_by_ingress(request)

        async def send_with_headers(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                headers = MutableHeaders(scope=message)
                for name, value in (IN_A_FRAME if by_ingress else EVERY_ANSWER).items():
                    # Two of Content-Security-Policy hold both.
                    headers.append(name, value)
            await send(message)

        answer = self._refusal(request, by_ingress=by_ingress)
        if answer is None and not by_ingress and not _is_open(request):
            if self._sessions and not self._sessions.holds(request.cookies.get(self._cookie, ""), self._now()):
                answer = await self._sign_in(request, receive)
            elif self._access and (status := await self._access.refuses(request)):
                answer = _refuse(status, _words(request).say(NOT_BY_ACCESS[status]))
        await (answer or self._app)(scope, receive, send_with_headers)

    def _is_by_ingress(self, request: HTTPConnection) -> bool:
        if INGRESS not in request.headers:
            return False
        peer = _peer(request)
        return peer is not None and any(peer in network for network in self._ingress)

    def _refusal(self, request: HTTPConnection, *, by_ingress: bool) -> Response | None:
        host = host_of(request)
        if host is None or (host[0] not in self._hosts and not by_ingress):
            return _refuse(
                HTTPStatus.MISDIRECTED_REQUEST,
                _words(request).say(
                    "This page is not served under this name. Name it in WEIGHBRIDGE_FORM_HOSTS to allow it."
                ),
            )
        origins = request.headers.getlist("origin")
        if origins and (len(origins) > 1 or _origin(origins[0]) != host):
            said = _words(request).say("Another web page may not use this one. Open this page by itself.")
            return _refuse(HTTPStatus.FORBIDDEN, said)
        if by_ingress or self._sessions or self._behind_proxy:
            return None
        if any(name in request.headers for name in FORWARDED) or not _is_from_here(request):
            return _refuse(HTTPStatus.FORBIDDEN, _words(request).say(NO_SIGN_IN))
        return None

    # -- the sign-in -----------------------------------------------------------------------------------------

    async def _sign_in(self, request: HTTPConnection, receive: Receive) -> Response:
        method = request.scope.get("method")
        if method == "POST" and request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return await self._try(request, receive)
        if method in ("GET", "HEAD") and "text/html" in request.headers.get("accept", ""):
            return _ask(_words(request))
        said = _words(request).say("Sign in first: open this page in a browser.")
        return _refuse(HTTPStatus.UNAUTHORIZED, said)

    async def _try(self, request: HTTPConnection, receive: Receive) -> Response:
        assert self._sessions is not None  # noqa: S101  # there is a password to try
        typed, words = await _password_in(receive), _words(request)
        # Nothing is awaited from here to the note of a wrong password, so no two tries count as one.
        address, now = _network(request.client.host if request.client else ""), self._now()
        if wait_s := ceil(self._wrong.wait_s(address, now)):
            said = words.say("Wait after a wrong password. Try again in {seconds} s.", seconds=wait_s)
            return _ask(words, said, HTTPStatus.TOO_MANY_REQUESTS, {"Retry-After": str(wait_s)})
        if typed is None or not self._sessions.is_password(typed):
            self._wrong.note(address, now)
            return _ask(words, words.say("This is not the password. Try again."))
        self._wrong.forget(address)
        # "?": this address, wherever a proxy has put it, and never another.
        answer = Response(status_code=HTTPStatus.SEE_OTHER, headers={**OWN_ANSWER, "Location": "?"})
        answer.set_cookie(
            self._cookie,
            self._sessions.new(now),
            max_age=SESSION_S,
            path=None,
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https",
        )
        return answer


class Sessions:
    """Signed texts that say until when someone is signed in."""

    def __init__(self, password: SecretStr) -> None:
        text = password.get_secret_value()
        self._key = hashlib.scrypt(_bytes(text), salt=b"weighbridge form", n=1 << 14, r=8, p=1, dklen=64)
        self._digest = self._digest_of(text)

    def is_password(self, typed: str) -> bool:
        return hmac.compare_digest(self._digest_of(typed), self._digest)

    def new(self, now: float) -> str:
        ends = str(int(now) + SESSION_S)
        return f"{ends}.{self._signature(ends)}"

    def holds(self, session: str, now: float) -> bool:
        ends, _, signature = session.partition(".")
        if not hmac.compare_digest(_bytes(signature), _bytes(self._signature(ends))):
            return False
        # It is signed, so it came from `new`.
        return now < int(ends)

    def _signature(self, ends: str) -> str:
        return hmac.new(self._key[:32], _bytes(ends), hashlib.sha256).hexdigest()

    def _digest_of(self, password: str) -> bytes:
        # Of one length whatever was typed, so the duration does not reveal the password's.
        return hmac.digest(self._key[32:], _bytes(password), hashlib.sha256)


def _bytes(text: str) -> bytes:
    # Keyboards write an é as one character or as two.
    return unicodedata.normalize("NFC", text).encode("utf-8", "replace")


class WrongPasswords:
    """From when on an address may try again: later with each wrong password. Times in s."""

    def __init__(self) -> None:
        #: The address -> how many wrong passwords came from there, and when the last one did.
        self._seen: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait_s(self, address: str, now: float) -> float:
        """How long this address has to wait; 0: it may try."""
        count, last = self._seen.get(address, (0, now))
        pause = min(FIRST_PAUSE_S * (1 << min(count - 1, 10)), LONGEST_PAUSE_S) if count else 0.0
        return max(0.0, last + pause - now)

    def note(self, address: str, now: float) -> None:
        count, last = self._seen.pop(address, (0, now))
        self._seen[address] = (1 if now - last > FORGOTTEN_AFTER_S else count + 1), now
        while len(self._seen) > MOST_ADDRESSES:
            self._seen.popitem(last=False)

    def forget(self, address: str) -> None:
        self._seen.pop(address, None)


# -- what a request says -----------------------------------------------------------------------------------

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+?)\.?(:(?P<port>[0-9]{1,5}))?", re.IGNORECASE)
#: A proxy with TLS does not always send its port on.
_USUAL_PORTS = ("", "80", "443")


def _is_open(request: HTTPConnection) -> bool:
    """Whether what is asked for needs no session."""
    return request.scope["type"] == "http" and request.scope["path"] in OPEN


def host_of(request: HTTPConnection) -> tuple[str, str] | None:
    """The name in the field Host and its port, "" for a usual one. None if there is not exactly one that is valid."""
    hosts = request.headers.getlist("host")
    return _host(hosts[0]) if len(hosts) == 1 else None


def _words(request: HTTPConnection) -> Language:
    return language_of(request.headers.get("accept-language", ""))


def _host(text: str) -> tuple[str, str] | None:
    found = _HOST.fullmatch(text)
    if not found:
        return None
    port = found["port"] or ""
    return found["name"].strip("[]").lower(), "" if port in _USUAL_PORTS else port


def _origin(text: str) -> tuple[str, str] | None:
    scheme, _, host = text.partition("://")
    return _host(host) if scheme in ("http", "https") else None


def _peer(request: HTTPConnection) -> IPv4Address | IPv6Address | None:
    """Where the connection comes from."""
    try:
        found = ip_address(request.client.host if request.client else "")
    except ValueError:
        return None
    return (found.ipv4_mapped if isinstance(found, IPv6Address) else None) or found


def _is_from_here(request: HTTPConnection) -> bool:
    peer = _peer(request)
    return peer is not None and peer.is_loopback


def _network(address: str) -> str:
    """The address; of IPv6 the /64, since one customer has all of it."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv6Address) and found.ipv4_mapped is None:
        return found.exploded[:19]
    return address.removeprefix("::ffff:")


async def _password_in(receive: Receive) -> str | None:
    """The password in the body of a form; None if there is none, or if the body is too long or too slow."""
    body = b""
    try:
        async with asyncio.timeout(LONGEST_BODY_S):
            while True:
                message = await receive()
                body += message.get("body", b"")
                if len(body) > LONGEST_BODY_BYTES or message["type"] != "http.request":
                    return None
                if not message.get("more_body"):
                    break
        fields = parse_qs(body.decode("ascii"), max_num_fields=8, errors="strict")
    except (TimeoutError, ValueError):
        return None
    return fields["password"][0] if "password" in fields else None


# -- answers -----------------------------------------------------------------------------------------------


def _refuse(status: HTTPStatus, said: str) -> Response:
    return PlainTextResponse(f"{said}\n", status, OWN_ANSWER)


def _ask(
    words: Language, said: str = "", status: HTTPStatus = HTTPStatus.UNAUTHORIZED, headers: dict[str, str] | None = None
) -> Response:
    wrong = f'<p id="wrong" role="alert">{escape(said)}</p>' if said else ""
    named = ' aria-invalid="true" aria-describedby="wrong"' if said else ""
    return HTMLResponse(
        _PAGE.format(
            language=words.tag,
            title=escape(words.say("Sign in to Weighbridge")),
            label=escape(words.say("Password of this page")),
            sign_in=escape(words.say("Sign in")),
            wrong=wrong,
            named=named,
            head=HEAD,
            **_COLORS,
        ),
        status,
        {**OWN_ANSWER, **(headers or {})},
    )


#: The colors of the page, under their names below.
_NAMES = {"--page": "backgroundColor", "--text": "textColor", "--wrong": "redColor", "--accent": "primaryColor"}
_COLORS = {
    scheme: "; ".join(f"{name}: {COLORS[option][number]}" for name, option in _NAMES.items())
    for number, scheme in enumerate(("light", "dark"))
}
_PAGE = """\
<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{head}<title>{title}</title>
<style>
:root {{ {light} }}
@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}
html {{ background: var(--page); color: var(--text) }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 22rem; margin: 15vh auto 0; padding: 0 1rem }}
label, input, button {{ display: block; box-sizing: border-box; width: 100%; font: inherit }}
input, button {{ min-height: 2.75rem; margin: .25rem 0 1rem; padding: .5rem .75rem; border-radius: .5rem }}
input {{ border: 1px solid GrayText }}
button {{ border: 0; background: var(--accent); color: var(--page); font-weight: 600; cursor: pointer }}
:focus-visible {{ outline: 3px solid var(--accent); outline-offset: 2px }}
#wrong {{ color: var(--wrong) }}
</style>
</head>
<body>
<main>
<h1>Weighbridge</h1>
<form method="post">
<label for="password">{label}</label>
<input id="password" name="password" type="password" autocomplete="current-password" required autofocus{named}>
{wrong}
<button>{sign_in}</button>
</form>
</main>
</body>
</html>
"""
