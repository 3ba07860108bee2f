"""A `Session` over garth-ng, and its sign-in. The only module that uses garth.

Strategy: garth provides the sign-in widget, the token exchange and an HTTP client whose TLS looks like a browser's.
Weighbridge stores the tokens (`tokens.py`), and decides whether anything is sent twice.

Facts (garth-ng 1.1.0):
- Importing it takes up to 1.4 s and builds a client that takes GARTH_HOME, GARTH_TOKEN and GARTH_TELEMETRY_…
  from the environment, and may raise because of them: it is imported on use, with these removed.
- `Client.request` retries after a 5xx, three times, even a POST; `retries=0` stops that.
- libcurl sends a request again when a kept connection is dropped without an answer, even a POST (`Curl_retry_request`).
  A new session for each request has no kept connection, and threads do not share it.
- The token endpoint is a global for garmin.com (`oauth.DI_TOKEN_URL`).
- Between two pages of the sign-in it waits for 1.5 to 4 s, as a person would.
- After a wrong code Garmin shows the form again, with another CSRF token. garth does not keep that.
- The texts of its exceptions may hold an address with a ticket, and those of pydantic a token. None may get out, so
  every `raise` here says `from None`.

Weakness: it depends on garth's internals (`oauth.DI_TOKEN_URL`, the two steps in `sso`, the classes behind its
exceptions), so an update of garth may break it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import math
import os
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from ...errors import (
    AccountLocked,
    GarminUnreachable,
    SettingsInvalid,
    SignInBlocked,
    SignInRejected,
    TicketRejected,
    WeighbridgeError,
)
from ...secret import SecretStr
from ..answers import fault_of
from ..tokens import Token
from .bounded import TOO_LARGE, TOO_LARGE_CODE, bounded
from .port import ConnectionDropped, GarminResponse
from .steps import (
    CAPTCHA,
    CLOUDFLARE,
    LOCKED,
    UNEXPECTED_PAGE,
    WRONG_CREDENTIALS,
    Pending,
    Where,
    WrongCode,
    add_cookies,
    cookies_to_json,
)
from .token_session import CERTIFICATE_CODES, NOTHING_SENT_CODES, TokenSession, unreachable

IMPERSONATE = "chrome120"  # the browser whose TLS handshake garth shows


#: `oauth.DI_TOKEN_URL` is global to the process, so its users take turns.
_token_url_lock = threading.Lock()
#: So is the table of modules.
_import_lock = threading.Lock()


class GarthSession(TokenSession):
    """A `TokenSession` over garth-ng."""

    def warm(self) -> None:
        """Start to import garth in the background, so that the first upload does not wait for it."""

        def quietly() -> None:
            with contextlib.suppress(WeighbridgeError):  # the first request reports it
                import_garth()

        threading.Thread(target=quietly, name="import garth", daemon=True).start()

    def _send(
        self,
        token: Token,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        file: tuple[str, bytes] | None,
    ) -> GarminResponse:
        garth = import_garth()
        options: dict[str, Any] = {"params": dict(params)} if params else {}
        with _client(self._domain, self._ca_bundle, self._timeout_s) as client:
            # `TokenSession` checks the token's end. garth must not refresh by itself, because the store would not know.
            client.oauth2_token = garth.http.OAuth2Token(
                access_token=token.access_token.get_secret_value(),
                refresh_token="",
                expires_in=0,
                expires_at=math.inf,
                client_id=token.client_id,
            )
            form = garth.http.CurlMime() if file else None
            try:
                if form is not None and file is not None:
                    name, content = file
                    form.addpart(name="file", filename=name, data=content, content_type="application/octet-stream")
                    options["multipart"] = form
                response = client.request(method, "connectapi", path, api=True, **options)
            except garth.exc.GarthHTTPError as e:
                response = e.error.response  # any status from 400 up
            except garth.http.RequestException as e:
                if e.code in NOTHING_SENT_CODES:
                    raise _unreachable(e.code) from None
                if e.code == TOO_LARGE_CODE:
                    raise ConnectionDropped(TOO_LARGE) from None
                raise ConnectionDropped(
                    f"The connection to Garmin Connect broke off before an answer came (curl error {int(e.code)})."
                ) from None
            finally:
                if form is not None:
                    form.close()
        return _answer(response)

    def _renewed(self, token: Token) -> Token:
        garth = import_garth()
        old = garth.http.OAuth2Token(
            access_token=token.access_token.get_secret_value(),
            refresh_token=token.refresh_token.get_secret_value(),
            expires_in=0,
            client_id=token.client_id,
        )
        try:
            with _client(self._domain, self._ca_bundle, self._timeout_s) as client, _token_url(self._domain):
                return _token_of(garth.oauth.refresh_oauth2_token(client.session, old))
        except garth.exc.GarthHTTPError as e:
            fault = e.error
        except (ValueError, TypeError):
            raise self._renewal_broken("Something other than a token came back: a proxy?") from None
        if _is_status(fault):
            raise self._refusal_of(_answer(fault.response))
        if fault.code in NOTHING_SENT_CODES:
            raise _unreachable(fault.code)
        raise self._renewal_broken(f"The connection broke off (curl error {int(fault.code)}).")


def sign_in(email: str, password: SecretStr, where: Where) -> Token | Pending:
    """Sign in with a password.

    Raises `SignInRejected`, `SignInBlocked`, `RateLimited`, `GarminRefused` or `GarminUnreachable`.
    """
    garth = import_garth()
    with _signing_in(where) as (session, answers):
        try:
            result = garth.sso.login(session, email, password.get_secret_value(), where.domain)
        except garth.exc.MFARequiredError as e:
            waits = e.state
        except garth.exc.GarthException as e:
            raise _sign_in_fault(garth, e, answers) or SignInRejected(WRONG_CREDENTIALS) from None
        else:
            return _exchanged(session, result, where)
        content = {"strategy": waits.strategy_name, "domain": waits.domain, "state": waits.state}
        return Pending.of({**content, "cookies": cookies_to_json(session.cookies.jar)})


def finish_sign_in(pending: Pending, code: str, where: Where) -> Token:
    """The second step of a sign-in, with the code. Raises `WrongCode`, and what `sign_in` raises."""
    garth = import_garth()
    content = pending.read()
    waits = garth.sso.MFAState(content["strategy"], content["domain"], content["state"])
    with _signing_in(where) as (session, answers):
        add_cookies(session.cookies.jar, content["cookies"])
        try:
            result = garth.sso.handle_mfa(session, waits, code)
        except garth.exc.GarthException as e:
            fault = _sign_in_fault(garth, e, answers)
        else:
            return _exchanged(session, result, where)
        if fault is not None:
            raise fault
        form = _CSRF.search(answers[-1].body)
        if form is None:
            raise WrongCode(None)
        state = {**content["state"], "csrf_token": form[1].decode("latin-1")}
        raise WrongCode(Pending.of({**content, "state": state, "cookies": cookies_to_json(session.cookies.jar)}))


_CSRF = re.compile(rb"""name="_csrf"\s+value="([^"]{1,200})\"""")


@contextlib.contextmanager
def _signing_in(where: Where) -> Iterator[tuple[Any, list[GarminResponse]]]:
    """A session for the pages of the sign-in, and the list to which their answers are added."""
    garth = import_garth()
    with _client(where.domain, where.ca_bundle, where.timeout_s, redirects=True) as client:
        try:
            yield client.session, _watched(client.session)
        except garth.http.RequestException as e:
            raise _unreachable(e.code) from None


def _exchanged(session: Any, result: Any, where: Where, of_a_person: WeighbridgeError | None = None) -> Token:
    """The result of a sign-in, which has a ticket -> a token. `of_a_person`: the fault if a person's ticket is
    refused."""
    garth = import_garth()
    try:
        with _token_url(where.domain):
            return _token_of(garth.oauth.exchange_service_ticket(session, result.ticket, result.service_url))
    except garth.exc.GarthHTTPError as e:
        error = e.error
    except (ValueError, TypeError):
        raise GarminUnreachable("Garmin accepted the sign-in, but what came back is not a token: a proxy?") from None
    if not _is_status(error):
        raise _unreachable(error.code)
    answer = _answer(error.response)
    if answer.status in (400, 401):
        raise of_a_person or SignInBlocked(NOT_ISSUED.format(status=answer.status))
    raise _fault_of_page(answer)


#: The sign-in page of Garmin's own app, and the address to which it then redirects, with the ticket.
SIGN_IN_PAGE = "https://sso.{domain}/mobile/sso/en_US/sign-in?clientId=GCM_ANDROID_DARK&service={service}"
SERVICE = "https://mobile.integration.{domain}/gcm/android"
TICKET = re.compile(r"(?:^|ticket=)(ST-[A-Za-z0-9._-]+)")
NOT_ISSUED = "Garmin accepted the sign-in, but issued no token (HTTP {status}). Sign in with your own browser."
TICKET_REFUSED = (
    "Garmin rejected the ticket: it works once, and only for some seconds. Sign in again in the browser (a private "
    "window helps), and paste the new address at once."
)
NO_TICKET = (
    "Expected an address with ticket=ST-…; there is no ticket in this. After the sign-in the browser shows an "
    "empty page or an error. Copy the whole address of that page."
)


def sign_in_page(domain: str) -> str:
    """The page on which a person signs in with a browser, to get a ticket."""
    return SIGN_IN_PAGE.format(domain=domain, service=SERVICE.format(domain=domain))


def exchange_ticket(pasted: str, where: Where) -> Token:
    """The ticket from a browser (alone, or in its address) -> a token.

    Raises `TicketRejected` (no ticket, or too late), `RateLimited`, `GarminRefused` or `GarminUnreachable`.
    """
    match = TICKET.search(pasted.strip())
    if match is None:
        raise TicketRejected(NO_TICKET)
    garth = import_garth()
    with _client(where.domain, where.ca_bundle, where.timeout_s) as client:
        result = garth.sso.LoginResult(match[1], SERVICE.format(domain=where.domain))
        return _exchanged(client.session, result, where, TicketRejected(TICKET_REFUSED))


def _sign_in_fault(garth: Any, error: Any, answers: list[GarminResponse]) -> WeighbridgeError | None:
    """garth's exception and the answers that led to it -> the fault; None if what was typed is wrong."""
    # sso.login hides the cause behind "All login strategies exhausted".
    cause = error.__cause__ if type(error) is garth.exc.GarthException and error.__cause__ else error
    last = answers[-1] if answers else None
    if isinstance(cause, garth.exc.CloudflareError):
        return SignInBlocked(CLOUDFLARE)
    if isinstance(cause, garth.exc.NetworkError):
        return _unreachable(cause.__cause__.code)
    # For a page without a form garth raises AuthenticationError("No CSRF token …"); only the status says why.
    if last is not None and b"locked" in _title(last):
        return AccountLocked(LOCKED)
    if last is not None and last.status >= 400:
        return _fault_of_page(last)
    if isinstance(cause, garth.exc.AuthenticationError) and "CSRF" not in cause.msg:
        return None
    return SignInBlocked(UNEXPECTED_PAGE)


def _fault_of_page(answer: GarminResponse) -> WeighbridgeError:
    """A page of the sign-in, or an answer to a ticket, with a status from 400 up -> the fault."""
    if b"captcha" in answer.body.lower():
        return SignInBlocked(CAPTCHA)
    if answer.status in (401, 403):
        return SignInBlocked(CLOUDFLARE)
    return fault_of(answer, "the sign-in", "")


def _title(answer: GarminResponse) -> bytes:
    match = re.search(rb"<title>(.*?)</title>", answer.body, re.DOTALL)
    return match[1].lower() if match else b""


def import_garth() -> Any:
    """The library, without its settings from the environment."""
    # Also read whenever a client is built, so they are removed each time. Nothing else in this process uses them.
    for name in [name for name in os.environ if name.upper().startswith("GARTH_")]:
        os.environ.pop(name, None)
    try:
        with _import_lock, _without_telemetry(), _without_the_sdk():
            import garth
            import garth.exc
            import garth.sso
    except ImportError:
        raise SettingsInvalid(
            "The delivery `garth` needs garth-ng, which is not installed: pip install garth-ng."
        ) from None
    return garth


@contextlib.contextmanager
def _without_telemetry() -> Iterator[None]:
    """garth does without logfire if that cannot be imported. It is half of the import and 20 MiB, and not used here."""
    hidden = "logfire" not in sys.modules
    if hidden:
        sys.modules["logfire"] = None  # type: ignore[assignment]  # so that its import fails (importlib)
    try:
        yield
    finally:
        if hidden:
            del sys.modules["logfire"]


@contextlib.contextmanager
def _without_the_sdk() -> Iterator[None]:
    """Let garth be imported where garmin-fit-sdk is not installed, as in the images, which may not pass it on.

    garth takes its `Encoder` at import, and uses it only to build a FIT file of its own, which nothing here asks for.
    """
    if "garth" in sys.modules or importlib.util.find_spec("garmin_fit_sdk"):
        yield
        return
    stand_in = ModuleType("garmin_fit_sdk")
    stand_in.Encoder = _NoEncoder  # type: ignore[attr-defined]
    sys.modules["garmin_fit_sdk"] = stand_in
    try:
        yield
    finally:
        del sys.modules["garmin_fit_sdk"]


class _NoEncoder:
    def __init__(self) -> None:
        raise ImportError("garth makes FIT files with garmin-fit-sdk, which is not installed here.")


@contextlib.contextmanager
def _client(domain: str, ca_bundle: Path | None, timeout_s: float, *, redirects: bool = False) -> Iterator[Any]:
    """A garth client with its own connection, closed at the end."""
    garth = import_garth()
    verify = str(ca_bundle) if ca_bundle else True
    with garth.http.Session(impersonate=IMPERSONATE, verify=verify, timeout=timeout_s) as session:
        # Only the pages of the sign-in redirect.
        session.request = bounded(session.request, **({} if redirects else {"allow_redirects": False}))
        client = garth.Client(session=session, domain=domain, telemetry_enabled=False)
        client.configure(timeout=timeout_s, retries=0)  # the constructor does not accept these (TypeError)
        yield client


@contextlib.contextmanager
def _token_url(domain: str) -> Iterator[None]:
    garth = import_garth()
    with _token_url_lock:
        garth.oauth.DI_TOKEN_URL = f"https://diauth.{domain}/di-oauth2-service/oauth/token"
        yield


def _watched(session: Any) -> list[GarminResponse]:
    """The answers that this session gets from now on."""
    answers: list[GarminResponse] = []
    request = session.request

    def watched(*args: Any, **options: Any) -> Any:
        response = request(*args, **options)
        answers.append(_answer(response))
        return response

    session.request = watched
    return answers


def _answer(response: Any) -> GarminResponse:
    headers = {name.lower(): value or "" for name, value in response.headers.items()}
    return GarminResponse(response.status_code, headers, response.content)


def _token_of(token: Any) -> Token:
    """garth's OAuth2Token, whose times are absolute already, as a `Token`."""
    return Token(
        SecretStr(token.access_token),
        SecretStr(token.refresh_token),
        token.client_id,
        token.expires_at or 0.0,
        token.refresh_token_expires_at,
    )


def _is_status(error: Any) -> bool:
    """Whether a RequestException is about an HTTP status, not the connection."""
    return error.code == 0 and error.response is not None


def _unreachable(code: int) -> GarminUnreachable:
    return unreachable(f"curl error {int(code)}", certificate=code in CERTIFICATE_CODES)
