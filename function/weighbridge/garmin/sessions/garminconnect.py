"""A `Session` over garminconnect, and its ways to sign in. The only module that uses that library.

Strategy: this is the most widely used library, and the one fixed most often when Garmin changes its sign-in. It sends
the same requests with the same token as garth, so either can replace the other at any time.

Facts (garminconnect 0.3.20, Python 3.12 and newer):
- It renews a token by itself when less than 900 s are left, and after a 401; the new token is lost unless saved. So for
  a request it gets no refresh token; after a 401 it then sends the same request once more.
- A status from 400 up is an exception whose `response` is the answer; a 204 is an object without headers.
- It knows garmin.com and garmin.cn; its addresses are attributes, and can be set afterwards.
- `Client.login` tries five ways in turn. A wrong password stops it; after anything else it tries the next way. If
  Garmin asks for a code, it gives a `client_state`, which is JSON, and which another process can finish with.
- After a wrong code it keeps that state. Garmin's form has another CSRF token then, which it does not look for.
- Its session for requests with the token is one of requests, which inflates as it reads.
- The texts of its exceptions have their addresses removed; messages do not repeat them anyway.

Weakness: it depends on the library's private attributes (`_refresh_di_token`, `_http_post`, `_api_session`), so an
update of the library may break it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ...commands import needs_extra
from ...errors import AccountLocked, RateLimited, SettingsInvalid, SignInBlocked, SignInRejected
from ...secret import SecretStr
from ...state_file import number
from ..answers import DEFAULT_RETRY_AFTER_S
from ..tokens import Token
from .bounded import MOST_BYTES, TOO_LARGE, bounded
from .port import ConnectionDropped, GarminResponse
from .steps import CLOUDFLARE, LOCKED, WRONG_CREDENTIALS, Pending, Where, WrongCode
from .token_session import CERTIFICATE_CODES, NOTHING_SENT_CODES, TokenSession, unreachable

KNOWN_DOMAINS = ("garmin.com", "garmin.cn")
CHUNK_BYTES = 65_536
NOT_VERIFIED = "CERTIFICATE_VERIFY_FAILED"  # OpenSSL's name for it


class GarminconnectSession(TokenSession):
    """A `TokenSession` over garminconnect."""

    def _send(
        self,
        token: Token,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        file: tuple[str, bytes] | None,
    ) -> GarminResponse:
        library = import_garminconnect()
        requests = library.client.requests
        options: dict[str, Any] = {"timeout": self._timeout_s}
        options |= {"params": dict(params)} if params else {}
        options |= {"files": {"file": (*file, "application/octet-stream")}} if file else {}
        with _client(self._domain, self._ca_bundle, token, renewable=False) as client:
            try:
                response = client.request(method, "connectapi", path, **options)
            except library.GarminConnectConnectionError as e:
                response = getattr(e, "response", None)  # any status from 400 up
                if response is None:
                    raise ConnectionDropped("garminconnect gave up before an answer came.") from None
            except requests.exceptions.TooManyRedirects as e:
                response = e.response  # it is not followed
            except requests.exceptions.RequestException as e:
                # Only this TLS error is certain to come before the request: a garbled connection after it is an
                # SSLError too.
                if NOT_VERIFIED in str(e):
                    raise unreachable(certificate=True) from None
                if _nothing_was_sent(e):
                    raise unreachable() from None
                raise ConnectionDropped(
                    f"The connection to Garmin Connect broke off before an answer came ({type(e).__name__})."
                ) from None
        return _answer(response)

    def _renewed(self, token: Token) -> Token:
        library = import_garminconnect()
        with _client(self._domain, self._ca_bundle, token, renewable=True) as client:
            answers = _watched(client, self._ca_bundle)
            try:
                client._refresh_di_token()
                return _token_of(client, answers[-1], self._now())
            except library.GarminConnectAuthenticationError:
                raise self._refusal_of(answers[-1]) from None
            except (ValueError, KeyError, TypeError):
                raise self._renewal_broken("Something other than a token came back: a proxy?") from None
            except library.client.cffi_requests.RequestsError as e:
                if e.code in NOTHING_SENT_CODES:
                    raise unreachable(f"curl error {int(e.code)}", certificate=e.code in CERTIFICATE_CODES) from None
                raise self._renewal_broken(f"The connection broke off (curl error {int(e.code)}).") from None


def sign_in(email: str, password: SecretStr, where: Where, now: Callable[[], float] = time.time) -> Token | Pending:
    """Sign in with a password, in one of five ways.

    Raises `SignInRejected`, `SignInBlocked`, `RateLimited`, or `SettingsInvalid` where the library is missing.
    """
    with _signing_in(where) as (client, answers):
        try:
            _, state = client.login(email, password.get_secret_value(), return_on_mfa=True)
        except import_garminconnect().GarminConnectAuthenticationError as e:
            # The page's title is in the text. It holds no secret, but is not repeated either.
            raise AccountLocked(LOCKED) if _is_locked(e) else SignInRejected(WRONG_CREDENTIALS) from None
        return Pending.of(state) if state else _token_after_sign_in(client, answers, now)


def finish_sign_in(pending: Pending, code: str, where: Where, now: Callable[[], float] = time.time) -> Token:
    """The second step of a sign-in, with the code. Raises `WrongCode`, and what `sign_in` raises."""
    library = import_garminconnect()
    state = pending.read()
    with _signing_in(where) as (client, answers):
        client._restore_mfa_state(state)
        pages = _posts_of(client._mfa_session)
        try:
            client.resume_login(state, code)
        except library.GarminConnectAuthenticationError as e:
            if _is_locked(e):
                raise AccountLocked(LOCKED) from None
            if len(_NO_VERDICT.findall(str(e))) == 2:
                raise SignInBlocked(CLOUDFLARE) from None
            form = library.client.sso._CSRF_RE.search(pages[-1]) if pages else None
            again = {**client._mfa_client_state(), "csrf_token": form[1] if form else state["csrf_token"]}
            raise WrongCode(Pending.of(again)) from None
        return _token_after_sign_in(client, answers, now)


#: Of the two addresses to which it sends the code, one after the other: no answer, or one that is not about the code.
_NO_VERDICT = re.compile(r"verifyCode: (?:connection error|HTTP \d)")


@contextlib.contextmanager
def _signing_in(where: Where) -> Iterator[tuple[Any, list[GarminResponse]]]:
    """A client, and the list to which the answers of the token endpoint are added."""
    library = import_garminconnect()
    with _trusting(where.ca_bundle), _client(where.domain, where.ca_bundle, None, renewable=True) as client:
        try:
            yield client, _watched(client, where.ca_bundle)
        except library.GarminConnectTooManyRequestsError:
            raise RateLimited(
                "Garmin asks this machine, or its network, to wait before the next sign-in.", DEFAULT_RETRY_AFTER_S
            ) from None
        except library.GarminConnectConnectionError:
            raise SignInBlocked(
                "None of garminconnect's five ways to sign in got through. Sign in with your own browser, or try from "
                "another network, such as one at home."
            ) from None
        except library.client.cffi_requests.RequestsError as e:
            raise unreachable(f"curl error {int(e.code)}", certificate=e.code in CERTIFICATE_CODES) from None


def _token_after_sign_in(client: Any, answers: list[GarminResponse], now: Callable[[], float]) -> Token:
    try:
        return _token_of(client, answers[-1], now())
    except (ValueError, TypeError, IndexError):
        raise SignInBlocked("Garmin accepted the sign-in, but garminconnect got no token that can be stored.") from None


def _is_locked(error: Exception) -> bool:
    return "locked" in str(error).lower()


def _posts_of(session: Any) -> list[str]:
    """The list to which the pages are added that this session gets as answers from now on."""
    pages: list[str] = []
    post = session.post

    def posted(*args: Any, **options: Any) -> Any:
        response = post(*args, **options)
        pages.append(response.text)
        return response

    session.post = posted
    return pages


def import_garminconnect() -> Any:
    """The library. Raises `SettingsInvalid` if it is not or cannot be installed."""
    try:
        import garminconnect
        import garminconnect.client.transport  # releases for older Pythons do not have this
    except ImportError:
        sentence = needs_extra("garminconnect, on Python 3.12 or newer,", "garminconnect")
        raise SettingsInvalid(sentence) from None
    # Its log is for its own users, and may quote what a server answered.
    logging.getLogger("garminconnect").setLevel(logging.CRITICAL)
    return garminconnect


@contextlib.contextmanager
def _client(domain: str, ca_bundle: Path | None, token: Token | None, *, renewable: bool) -> Iterator[Any]:
    """A client with its own connections, closed at the end."""
    client = import_garminconnect().client.Client(domain if domain in KNOWN_DOMAINS else KNOWN_DOMAINS[0])
    for name, value in vars(client).items():
        if isinstance(value, str) and value.startswith("https://"):
            setattr(client, name, _moved(value, client.domain, domain))
    client._domain = domain
    if token is not None:
        client.di_token = token.access_token.get_secret_value()
        client.di_refresh_token = token.refresh_token.get_secret_value() if renewable else None
        client.di_client_id = token.client_id
    client._api_session.mount("https://", _bounded_adapter())
    client._api_session.max_redirects = 0  # only the pages of the sign-in redirect
    for session in (client._api_session, client.cs):
        session.verify = str(ca_bundle) if ca_bundle else True
        session.trust_env = ca_bundle is None  # otherwise REQUESTS_CA_BUNDLE would win
    try:
        yield client
    finally:
        client._api_session.close()
        client.cs.close()


def _bounded_adapter() -> Any:
    """requests' way to send, with a limit for the answer, inflated."""
    from requests.adapters import HTTPAdapter

    class Bounded(HTTPAdapter):
        def send(self, *args: Any, **options: Any) -> Any:
            response = super().send(*args, **options)
            content = bytearray()
            try:
                for chunk in response.iter_content(CHUNK_BYTES):
                    content += chunk
                    if len(content) > MOST_BYTES:
                        raise ConnectionDropped(TOO_LARGE)
            finally:
                response.close()
            response._content = bytes(content)
            return response

    return Bounded()


@contextlib.contextmanager
def _trusting(ca_bundle: Path | None) -> Iterator[None]:
    """Make the connections that the library opens during the sign-in trust these certificates. This changes the whole
    process, so sign-ins take turns. Meanwhile, a request to Google trusts only these, too, and may fail."""
    if ca_bundle is None:
        yield
        return
    package, trusted = import_garminconnect().client, str(ca_bundle)
    with _trust_lock:
        original, before = package.cffi_requests, os.environ.get("REQUESTS_CA_BUNDLE")
        package.cffi_requests = SimpleNamespace(
            Session=partial(original.Session, verify=trusted), post=original.post, RequestsError=original.RequestsError
        )
        os.environ["REQUESTS_CA_BUNDLE"] = trusted
        try:
            yield
        finally:
            package.cffi_requests = original
            del os.environ["REQUESTS_CA_BUNDLE"]
            os.environ |= {"REQUESTS_CA_BUNDLE": before} if before else {}


_trust_lock = threading.Lock()


def _moved(address: str, known: str, domain: str) -> str:
    """An address of the library, moved to this domain."""
    scheme, _, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.removesuffix(known)}{domain}{slash}{path}" if host.endswith(known) else address


def _watched(client: Any, ca_bundle: Path | None) -> list[GarminResponse]:
    """The list to which the answers of the token endpoint are added from now on; requests use our certificates."""
    answers: list[GarminResponse] = []
    post = bounded(import_garminconnect().client.cffi_requests.post, allow_redirects=False)

    def watched(url: str, **options: Any) -> Any:
        response = post(url, impersonate="chrome", verify=str(ca_bundle) if ca_bundle else True, **options)
        answers.append(_answer(response))
        return response

    client._http_post = watched
    return answers


def _answer(response: Any) -> GarminResponse:
    headers = {name.lower(): value or "" for name, value in getattr(response, "headers", {}).items()}
    return GarminResponse(response.status_code, headers, response.content)


def _token_of(client: Any, answer: GarminResponse, now_s: float) -> Token:
    """The token that the client has got, with the times of the answer. Raises `ValueError` or `TypeError`."""
    body = json.loads(answer.body)
    if not isinstance(body, dict):
        raise TypeError("not a token")
    lifetime_s = number(body.get("refresh_token_expires_in"))
    return Token(
        SecretStr(client.di_token),
        SecretStr(client.di_refresh_token),
        client.di_client_id,
        now_s + number(body.get("expires_in")),
        now_s + lifetime_s if lifetime_s else None,
    )


def _nothing_was_sent(error: Exception) -> bool:
    """Whether there never was a connection: urllib3's reason is inside requests' exception."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return type(reason).__name__ in ("NewConnectionError", "NameResolutionError", "ConnectTimeoutError")
