"""Signing in: the SSO widget, its tickets, and the tokens that the DI service issues for them.

Facts:
- A service ticket works once, for some seconds, and only for its service (CAS protocol 3.1.1).
- A refresh token rotates: as soon as there is a new one, the old one is invalid.
- Repeated failed sign-ins lock the account, even for the right password.
- The pages for people (the app's under /mobile, the web's under /portal) redirect the browser to the service, with the
  ticket in the address (CAS protocol 2.2.4). The service need not exist: only the address matters.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from .http_types import Request, Response, html_answer, json_answer

GRANT_SERVICE_TICKET = "https://connectapi.garmin.com/di-oauth2-service/oauth/grant/service_ticket"
GRANT_REFRESH = "refresh_token"
CLIENT_IDS = (
    "GARMIN_CONNECT_MOBILE_ANDROID_DI_2025Q2",
    "GARMIN_CONNECT_MOBILE_ANDROID_DI_2024Q4",
    "GARMIN_CONNECT_MOBILE_ANDROID_DI",
)
#: Which page may ask for a sign-in for which service: (first part of the path, clientId) -> service.
WEB_CLIENTS = {
    ("mobile", "GCM_ANDROID_DARK"): "https://mobile.integration.{domain}/gcm/android",
    ("mobile", "GCM_IOS_DARK"): "https://mobile.integration.{domain}/gcm/ios",
    ("portal", "GarminConnect"): "https://connect.{domain}/app",
}
FAILED_SIGN_INS_UNTIL_LOCKED = 5
VISIT_LIFETIME_S = 600.0


@dataclass
class Account:
    email: str = "runner@example.com"
    password: str = "correct horse"
    mfa_code: str | None = None  # None: no second factor
    display_name: str = "runner"


@dataclass
class Visit:
    """One form that was shown. Its CSRF token allows the same browser to send it back once."""

    browser: str
    service: str
    expires_at_s: float
    password_was_right: bool = False


@dataclass
class RefreshToken:
    client_id: str
    expires_at_s: float
    owner: str = ""


@dataclass
class SignIn:
    account: Account
    clock: Callable[[], float]
    #: What a test may change.
    known_client_ids: tuple[str, ...] = CLIENT_IDS
    access_token_lifetime_s: float = 86_400.0
    refresh_token_lifetime_s: float = 30 * 86_400.0
    ticket_lifetime_s: float = 10.0
    invalid_grant_status: int = 400
    #: What a test may look at.
    sign_ins: int = 0
    failed_sign_ins: int = 0
    exchanges: int = 0
    refreshes: int = 0
    refused_refreshes: int = 0
    _failures_in_a_row: int = 0
    _visits: dict[str, Visit] = field(default_factory=dict)
    _tickets: dict[str, tuple[str, float]] = field(default_factory=dict)
    _granting: dict[str, float] = field(default_factory=dict)
    _access_tokens: dict[str, float] = field(default_factory=dict)
    _owners: dict[str, str] = field(default_factory=dict)
    _refresh_tokens: dict[str, RefreshToken] = field(default_factory=dict)

    @property
    def locked(self) -> bool:
        return self._failures_in_a_row >= FAILED_SIGN_INS_UNTIL_LOCKED

    def unlock(self) -> None:
        self._failures_in_a_row = 0

    # -- the widget --------------------------------------------------------------------------------------

    def embed(self, request: Request) -> Response:
        return html_answer(200, page("GARMIN Authentication Application", "Sign in with the form."))

    def signin_page(self, request: Request) -> Response:
        service = request.query.get("service", "")
        if service != f"https://{request.host}/sso/embed":
            return html_answer(400, page("Error", "The service is not allowed to ask for a sign-in."))
        return self._show(request, service, "Sign in", SIGNIN_FIELDS)

    def signin(self, request: Request) -> Response:
        form = request.form()
        visit = self._take_visit(request, form)
        if visit is None or visit.password_was_right or form.get("embed") != "true":
            return html_answer(403, page("Error", "The form has expired."))
        right = (form.get("username"), form.get("password")) == (self.account.email, self.account.password)
        if self.locked or not right:
            return self._fail(request, visit, SIGNIN_FIELDS)
        if self.account.mfa_code is not None:
            return self._show(request, visit.service, "Enter MFA code for login", MFA_FIELDS, password_was_right=True)
        return self._succeed(visit)

    def mfa(self, request: Request) -> Response:
        form = request.form()
        visit = self._take_visit(request, form)
        whole = (form.get("embed"), form.get("fromPage")) == ("true", "setupEnterMfaCode")
        if visit is None or not visit.password_was_right or not whole:
            return html_answer(403, page("Error", "The form has expired."))
        if self.locked or form.get("mfa-code") != self.account.mfa_code:
            return self._fail(request, visit, MFA_FIELDS)
        return self._succeed(visit)

    def _show(
        self, request: Request, service: str, title: str, fields: str, *, password_was_right: bool = False
    ) -> Response:
        csrf, browser = secrets.token_hex(16), request.cookie("SESSION") or secrets.token_hex(16)
        self._visits[csrf] = Visit(browser, service, self.clock() + VISIT_LIFETIME_S, password_was_right)
        form = f'<form method="post"><input type="hidden" name="_csrf" value="{csrf}" />{fields}</form>'
        cookie = f"SESSION={browser}; Path=/{request.path.split('/')[1]}; Secure; HttpOnly"
        return html_answer(200, page(title, form), ("set-cookie", cookie))

    def _take_visit(self, request: Request, form: dict[str, str]) -> Visit | None:
        visit = self._visits.pop(form.get("_csrf", ""), None)
        fresh = visit is not None and visit.expires_at_s > self.clock()
        same_browser = visit is not None and visit.browser == request.cookie("SESSION")
        return visit if fresh and same_browser else None

    def _fail(self, request: Request, visit: Visit, fields: str) -> Response:
        self.failed_sign_ins += 1
        self._failures_in_a_row += 1
        title = "Your account is locked" if self.locked else "Invalid sign in"
        return self._show(request, visit.service, title, fields, password_was_right=visit.password_was_right)

    def _succeed(self, visit: Visit) -> Response:
        self.sign_ins += 1
        self._failures_in_a_row = 0
        ticket = self.issue_ticket(visit.service)
        script = f'<script>var response_url = "{visit.service}?ticket={ticket}";</script>'
        return html_answer(200, page("Success", script))

    # -- the pages for people ------------------------------------------------------------------------------

    def web_page(self, request: Request) -> Response:
        service = request.query.get("service", "")
        allowed = WEB_CLIENTS.get((request.path.split("/")[1], request.query.get("clientId", "")))
        if allowed is None or service != allowed.format(domain=request.host.removeprefix("sso.")):
            return html_answer(400, page("Error", "The service is not allowed to ask for a sign-in."))
        if self._granting.get(request.cookie("CASTGC") or "", 0.0) > self.clock():
            return self._back_to(service)
        return self._show(request, service, "GARMIN Sign In", SIGNIN_FIELDS + SUBMIT)

    def web_form(self, request: Request) -> Response:
        form = request.form()
        visit = self._take_visit(request, form)
        if visit is None:
            return html_answer(403, page("Error", "The form has expired."))
        if visit.password_was_right:
            right = form.get("mfa-code") == self.account.mfa_code
        else:
            right = (form.get("username"), form.get("password")) == (self.account.email, self.account.password)
        if self.locked or not right:
            return self._fail(request, visit, (MFA_FIELDS if visit.password_was_right else SIGNIN_FIELDS) + SUBMIT)
        if self.account.mfa_code is not None and not visit.password_was_right:
            return self._show(request, visit.service, "Enter the code", MFA_FIELDS + SUBMIT, password_was_right=True)
        self.sign_ins += 1
        self._failures_in_a_row = 0
        granting = secrets.token_hex(16)
        self._granting[granting] = self.clock() + self.refresh_token_lifetime_s
        lasting = f"Max-Age={round(self.refresh_token_lifetime_s)}; Path=/; Secure; HttpOnly"
        return self._back_to(visit.service, ("set-cookie", f"CASTGC={granting}; {lasting}"))

    def _back_to(self, service: str, *headers: tuple[str, str]) -> Response:
        return Response(302, headers=(("location", f"{service}?ticket={self.issue_ticket(service)}"), *headers))

    def sign_out_browsers(self) -> None:
        """From now on the page for people asks for the password again."""
        self._granting.clear()

    # -- tickets and tokens ------------------------------------------------------------------------------

    def issue_ticket(self, service_url: str) -> str:
        """A ticket, as in the browser's address after a sign-in."""
        ticket = f"ST-{secrets.randbelow(10**7):07d}-{secrets.token_urlsafe(15)}-cas"
        self._tickets[ticket] = (service_url, self.clock() + self.ticket_lifetime_s)
        return ticket

    def take_ticket(self, ticket: str, service_url: str) -> bool:
        """A ticket is spent by the first attempt, whether that succeeds or not (CAS 2.5.1)."""
        service, expires_at_s = self._tickets.pop(ticket, ("", 0.0))
        return expires_at_s > self.clock() and service == service_url

    def token(self, request: Request) -> Response:
        form, owner = request.form(), ""
        client_id = form.get("client_id", "")
        if client_id not in self.known_client_ids or basic_user(request) != client_id:
            return oauth_error(401, "invalid_client")
        match form.get("grant_type"):
            case grant if grant == GRANT_SERVICE_TICKET:
                if not self.take_ticket(form.get("service_ticket", ""), form.get("service_url", "")):
                    return oauth_error(self.invalid_grant_status, "invalid_grant")
                self.exchanges += 1
            case grant if grant == GRANT_REFRESH:
                presented = form.get("refresh_token", "")
                known = self._refresh_tokens.get(presented)
                if known is None or known.client_id != client_id or known.expires_at_s <= self.clock():
                    self.refused_refreshes += 1
                    return oauth_error(self.invalid_grant_status, "invalid_grant")
                del self._refresh_tokens[presented]
                self.refreshes += 1
                owner = known.owner
            case _:
                return oauth_error(400, "unsupported_grant_type")
        return json_answer(200, self._new_tokens(client_id, owner))

    def _new_tokens(self, client_id: str, owner: str) -> dict[str, object]:
        now_s = self.clock()
        expires_at_s = now_s + self.access_token_lifetime_s
        jti = secrets.token_hex(8)
        claims = {"iss": "https://diauth.garmin.com", "client_id": client_id, "jti": jti}
        access = jwt({**claims, "iat": round(now_s), "exp": round(expires_at_s)})
        refresh = secrets.token_urlsafe(32)
        self._access_tokens[access] = expires_at_s
        self._owners[access] = owner
        self._refresh_tokens[refresh] = RefreshToken(client_id, now_s + self.refresh_token_lifetime_s, owner)
        return {
            "scope": "CONNECT_READ CONNECT_WRITE",
            "jti": jti,
            "token_type": "Bearer",
            "access_token": access,
            "refresh_token": refresh,
            "expires_in": round(self.access_token_lifetime_s) - 1,
            "refresh_token_expires_in": round(self.refresh_token_lifetime_s) - 1,
        }

    def issue_token(self, client_id: str = CLIENT_IDS[0], *, owner: str = "") -> dict[str, object]:
        """A token as after a sign-in: the arguments of garth's OAuth2Token, with absolute times."""
        token = self._new_tokens(client_id, owner)
        now_s = self.clock()
        return {
            **token,
            "client_id": client_id,
            "expires_at": now_s + self.access_token_lifetime_s - 1,
            "refresh_token_expires_at": now_s + self.refresh_token_lifetime_s - 1,
        }

    def is_signed_in(self, request: Request) -> bool:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return scheme == "Bearer" and self._access_tokens.get(token, 0.0) > self.clock()

    def owner_of(self, request: Request) -> str:
        """The owner of a request's token; "" for the account that signs in."""
        return self._owners.get(request.headers.get("authorization", "").partition(" ")[2], "")

    def expire_access_tokens(self) -> None:
        """Expire all access tokens issued so far, whatever their `exp` is."""
        self._access_tokens.clear()

    def revoke(self) -> None:
        """Revoke all refresh tokens issued so far. Access tokens work until they expire."""
        self._refresh_tokens.clear()


SIGNIN_FIELDS = '<input name="username" /><input name="password" type="password" />'
MFA_FIELDS = '<input name="mfa-code" /><input type="hidden" name="fromPage" value="setupEnterMfaCode" />'
SUBMIT = '<button type="submit">Sign In</button>'


def page(title: str, content: str) -> str:
    return f"<!DOCTYPE html><html><head><title>{title}</title></head><body>{content}</body></html>"


def oauth_error(status: int, code: str) -> Response:
    return json_answer(status, {"error": code, "error_description": "The request was refused."})


def basic_user(request: Request) -> str | None:
    """The user of `Basic user:`, whose password has to be empty (RFC 7617, RFC 6749 section 2.3.1)."""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    try:
        user, colon, password = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return user if scheme == "Basic" and colon and not password else None


def jwt(claims: dict[str, object]) -> str:
    """A token that looks like a JWT, with readable claims. The signature is not checked: a list has the valid ones."""
    parts = (json.dumps({"alg": "RS256", "typ": "JWT"}), json.dumps(claims), secrets.token_hex(32))
    return ".".join(base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts)
