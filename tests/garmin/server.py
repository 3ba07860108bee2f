"""Garmin Connect on this machine, over TLS: the routes (Host header and path) and their rules.

Rule: a request is authenticated, then gets its fault, if one is active, then is carried out. A fault never turns a
refusal into a success. The stand-in's own errors are kept in `unexpected` and answered with 599, which nothing else
sends.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import ssl
import sys
import tempfile
import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Literal, Self
from urllib.parse import parse_qsl, urlsplit

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from .account import Account, SignIn
from .faults import TIMED_OUT, Fault, Faults, import_result, message
from .http_types import Request, Response, json_answer, json_error
from .personal import TOKEN_PATH, PersonalApi
from .uploads import Refused, file_part, weigh_ins
from .web import Web
from .weights import WeightStore

SERVICES = ("personal.connectapi", "sso", "diauth", "connectapi", "connect", "mobile.integration")
MOST_WEIGH_INS_IN_A_FILE = 200
LARGEST_REQUEST_BYTES = 50_000_000

WEB_SIGN_IN = "/(mobile/sso/en_US|portal/sso/en-US)/sign-in"

Handle = Callable[[Request], Response]


@dataclass(frozen=True)
class Route:
    name: str
    host: str
    method: str
    path: re.Pattern[str]
    handle: Handle
    #: Why a request is refused before anything else, if it is.
    refusal: Callable[[Request], Response | None]


@dataclass(frozen=True)
class Logged:
    """One request. `status` is None if the connection was dropped instead."""

    route: str | None
    method: str
    host: str
    path: str  # without the query, which may hold a ticket
    status: int | None
    fault: str | None = None


class GarminStandIn:
    """A Garmin Connect with one account, from `with` to the end of the block.

    with GarminStandIn() as garmin:
        garmin.domain       "localhost:PORT", for GARMIN_DOMAIN (or another `host_name`)
        garmin.ca_bundle    the file for GARMIN_CA_BUNDLE
        garmin.faults.add("upload", "drop-after")
    """

    def __init__(
        self,
        *,
        port: int = 0,
        host_name: str = "localhost",
        address: str = "127.0.0.1",
        account: Account | None = None,
        show_delay_s: float = 0.0,
        time_zone: str = "Europe/Berlin",
        seed: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.clock = clock
        self.account = account or Account()
        self.sign_in = SignIn(self.account, clock)
        self.weights = WeightStore(clock, time_zone, show_delay_s)
        #: The weigh-ins of more accounts, whose tokens are issued by name.
        self.weights_of = defaultdict[str, WeightStore](lambda: WeightStore(clock, time_zone, show_delay_s))
        self.weights_of[""] = self.weights
        self.personal = PersonalApi(self.weights, clock)
        self.web = Web(self.sign_in, clock)
        #: The answer to a stored upload: one of Garmin's two shapes, or both in turn.
        self.upload_answer: Literal["alternate", "processed", "accepted"] = "alternate"
        self.largest_upload_bytes = 65_536
        self.uploads_received = 0
        self.uploads_stored = 0
        self.requests: list[Logged] = []
        self.unexpected: list[str] = []
        self.routes = self._routes()
        self.faults = Faults(tuple(route.name for route in self.routes), seed)
        self._host_name, self._address, self._wanted_port = host_name, address, port
        self._lock = threading.RLock()
        self.closing = threading.Event()

    # -- life --------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        ca = trustme.CA()
        self._folder = tempfile.TemporaryDirectory(prefix="garmin-stand-in-")
        self.ca_bundle = Path(self._folder.name, "ca.pem")
        ca.cert_pem.write_to_path(self.ca_bundle)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        names = [self._host_name, *(f"{service}.{self._host_name}" for service in SERVICES)]
        certificate = ca.issue_cert(*names, "127.0.0.1")
        certificate.configure_cert(context)
        self.certificate_hash = spki_hash(certificate.cert_chain_pems[0].bytes())
        try:
            self._server = Server((self._address, self._wanted_port), self, context)
        except OSError:
            self._folder.cleanup()
            raise
        self.port = int(self._server.server_address[1])
        self.domain = f"{self._host_name}:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.close_connections()
        self._server.server_close()
        self._thread.join()
        self._folder.cleanup()

    @property
    def token_url(self) -> str:
        return f"https://diauth.{self.domain}/di-oauth2-service/oauth/token"

    def issue_token(self, owner: str = "") -> dict[str, object]:
        """A token, as a sign-in stores it."""
        with self._lock:
            return self.sign_in.issue_token(owner=owner)

    def write_token(self, folder: Path, owner: str = "") -> Path:
        """`issue_token` as `default.json`, or the owner's, in a folder that only its owner can read."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / f"{owner or 'default'}.json"
        path.unlink(missing_ok=True)
        path.touch(mode=0o600, exist_ok=False)
        path.write_text(json.dumps(self.issue_token(owner), indent=2))
        return path

    def expire_access_tokens(self) -> None:
        with self._lock:
            self.sign_in.expire_access_tokens()

    def revoke(self) -> None:
        with self._lock:
            self.sign_in.revoke()

    def weigh_ins(self) -> list[dict[str, object]]:
        """Everything stored and already visible, newest first, as the weight-service shows it."""
        with self._lock:
            return [self.weights.as_json(placed) for placed in self.weights.between(date.min, date.max)]

    def state(self) -> dict[str, object]:
        with self._lock:
            return {
                "uploads_received": self.uploads_received,
                "uploads_stored": self.uploads_stored,
                "sign_ins": self.sign_in.sign_ins,
                "failed_sign_ins": self.sign_in.failed_sign_ins,
                "account_locked": self.sign_in.locked,
                "exchanges": self.sign_in.exchanges,
                "refreshes": self.sign_in.refreshes,
                "refused_refreshes": self.sign_in.refused_refreshes,
                "stored": len(self.weights.entries),
                "weigh_ins": self.weigh_ins(),
                "faults": [[planned.route, planned.name] for planned in self.faults.planned],
                "requests": [vars(logged) for logged in self.requests],
                "unexpected": list(self.unexpected),
            }

    def reset(self) -> None:
        """Forget weigh-ins, faults, the request log and upload counters. Tokens and the account stay."""
        with self._lock:
            self.weights.entries.clear()
            self.faults.clear()
            self.requests.clear()
            self.unexpected.clear()
            self.uploads_received = self.uploads_stored = 0
            self.sign_in.unlock()

    # -- what is asked -----------------------------------------------------------------------------------

    def _routes(self) -> tuple[Route, ...]:
        weight, day = "/weight-service/weight", r"(?P<day>[^/]+)"
        table: tuple[tuple[str, str, str, str, Handle], ...] = (
            ("sso/embed", "sso", "GET", "/sso/embed", self.sign_in.embed),
            ("sso/signin-page", "sso", "GET", "/sso/signin", self.sign_in.signin_page),
            ("sso/signin", "sso", "POST", "/sso/signin", self.sign_in.signin),
            ("sso/mfa", "sso", "POST", "/sso/verifyMFA/loginEnterMfaCode", self.sign_in.mfa),
            ("sso/web-page", "sso", "GET", WEB_SIGN_IN, self.sign_in.web_page),
            ("sso/web-form", "sso", "POST", WEB_SIGN_IN, self.sign_in.web_form),
            ("diauth/token", "diauth", "POST", "/di-oauth2-service/oauth/token", self.sign_in.token),
            ("upload", "connectapi", "POST", r"/upload-service/upload(/\.?fit)?", self.upload),
            ("weight/dayview", "connectapi", "GET", f"{weight}/dayview/{day}",
             lambda request: self._weights(request).dayview(request)),
            ("weight/range", "connectapi", "GET", f"{weight}/range/(?P<first>[^/]+)/(?P<last>[^/]+)",
             lambda request: self._weights(request).range(request)),
            ("weight/delete", "connectapi", "DELETE", rf"{weight}/{day}/byversion/(?P<sample_pk>\d+)",
             lambda request: self._weights(request).delete(request)),
            ("personal/token", "personal", "POST", TOKEN_PATH, self.personal.token),
            ("personal/range", "personal", "GET", f"{weight}/range/(?P<first>[^/]+)/(?P<last>[^/]+)",
             self.personal.range),
            ("profile", "connectapi", "GET", "/userprofile-service/socialProfile", self.profile),
        )  # fmt: skip
        web: tuple[tuple[str, str, str, str, Handle], ...] = (
            ("web/app", "connect", "GET", "/app(/home|/activities|/)?", self.web.app),
            ("web/import", "connect", "GET", "/app/import-data", self.web.app),
            ("web/consent", "connect", "POST", "/app/consent", self.web.consent),
            ("web/status", "connect", "GET", r"/site-status/garmin-connect-status\.json", self.web.status),
        )
        # The pages' own API is the same API at another address.
        inside = tuple(
            (f"gc/{name}", "connect", method, f"/gc-api{path}", handle)
            for name, host, method, path, handle in table
            if host == "connectapi"
        )
        refusals: dict[str, Callable[[Request], Response | None]] = {"connectapi": self._without_token}
        return tuple(
            Route(name, host, method, re.compile(path), handle, refusals.get(host, lambda _request: None))
            for name, host, method, path, handle in (*table, *web)
        ) + tuple(
            Route(name, host, method, re.compile(path), handle, self.web.refusal)
            for name, host, method, path, handle in inside
        )

    def _weights(self, request: Request) -> WeightStore:
        return self.weights_of[self.sign_in.owner_of(request)]

    def _without_token(self, request: Request) -> Response | None:
        return None if self.sign_in.is_signed_in(request) else json_error(401, "HTTP 401 Unauthorized")

    def answer(self, request: Request) -> tuple[Response, float]:
        """The answer to one request, and the seconds to wait before it is sent."""
        if request.path.startswith("/stand-in/"):
            with self._lock:
                return self._stand_in(request), 0.0
        host = request.host.partition(".")[0]
        with self._lock:
            for route in self.routes:
                match = route.path.fullmatch(request.path)
                if match and (route.host, route.method) == (host, request.method):
                    break
            else:
                self.requests.append(Logged(None, request.method, request.host, request.path, 404))
                return json_error(404, "HTTP 404 Not Found"), 0.0
            request = replace(request, path_values=match.groupdict())
            answer, delay_s, fault = self._carry_out(route, request)
            status = None if answer.drop != "no" else answer.status
            self.requests.append(Logged(route.name, request.method, request.host, request.path, status, fault))
            return answer, delay_s

    def _carry_out(self, route: Route, request: Request) -> tuple[Response, float, str | None]:
        refusal = route.refusal(request)
        if refusal is not None:
            return refusal, 0.0, None
        if route.handle == self.upload:
            self.uploads_received += 1
        planned = self.faults.next_for(route.name)
        if planned is None:
            return route.handle(request), 0.0, None
        return self._spoil(route, request, planned.fault), planned.fault.delay_s, planned.name

    def _spoil(self, route: Route, request: Request, fault: Fault) -> Response:
        if fault.answer is None:
            return route.handle(request)
        if fault.carried_out:
            own = route.handle(request)
            if own.status >= 400:
                return own
        return fault.answer

    def upload(self, request: Request) -> Response:
        try:
            name, content = file_part(request.headers.get("content-type", ""), request.body)
            if request.path.endswith("/upload") and not name.lower().endswith(".fit"):
                raise Refused(406, 0, "The file name has no ending that says what it is.")
            # Garmin times out on large files, without a judgment on them.
            if len(content) > self.largest_upload_bytes:
                return TIMED_OUT
            found = weigh_ins(content, self.clock())
            if len(found) > MOST_WEIGH_INS_IN_A_FILE:
                return TIMED_OUT
        except Refused as e:
            return json_answer(e.status, import_result(upload_id="", failures=(message(e.code, e.content),)))
        self._weights(request).add(*found)
        self.uploads_stored += 1
        alternate = self.upload_answer == "alternate" and self.uploads_stored % 2 == 0
        processed = alternate or self.upload_answer == "processed"
        upload_id = 212_157_427_938 + self.uploads_stored
        result = import_result(
            upload_id=upload_id,
            file_size=len(content),
            file_name=f"{upload_id}_{name}",
            successes=(message(0, "File processed."),) if processed else (),
        )
        now_ms = round(self.clock() * 1000)
        where = f"https://{request.host}/activity-service/activity/status/{now_ms}/{upload_id:032x}"
        headers = (("location", where), ("location-in-milliseconds", "1000"))
        return json_answer(200 if processed else 202, result, *headers)

    def profile(self, request: Request) -> Response:
        name = self.account.display_name
        names = {"displayName": name, "fullName": name, "userName": self.account.email}
        return json_answer(200, {"id": 1, "profileId": 2591602, **names})

    # -- the stand-in's own switches ---------------------------------------------------------------------

    def _stand_in(self, request: Request) -> Response:
        switches: dict[tuple[str, str], Callable[[], None]] = {
            ("POST", "expire-access-tokens"): self.expire_access_tokens,
            ("POST", "revoke"): self.revoke,
            ("POST", "reset"): self.reset,
            ("POST", "faults"): lambda: self.faults.add_json(request.body),
        }
        asked = (request.method, request.path.removeprefix("/stand-in/"))
        if asked == ("GET", "state"):
            return json_answer(200, self.state())
        if asked not in switches:
            return json_error(404, "No such switch.")
        try:
            switches[asked]()
        except ValueError as e:
            return json_error(400, str(e))
        return Response(204)


def spki_hash(certificate: bytes) -> str:
    """The value with which Chromium trusts one certificate: the SHA-256 of its public key, in base64."""
    key = x509.load_pem_x509_certificate(certificate).public_key()
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], garmin: GarminStandIn, context: ssl.SSLContext) -> None:
        self.garmin = garmin
        self._connections: set[socket.socket] = set()
        super().__init__(address, Handler)
        # The handshake happens at the first read, in the connection's own thread: a silent client does not block
        # the others.
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        for connection in list(self._connections):
            cut(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a client that hangs up or does not trust the certificate; anything else is a bug."""
        if not isinstance(sys.exception(), OSError):  # ssl.SSLError is one, too
            self.garmin.unexpected.append(traceback.format_exc())


def cut(connection: socket.socket) -> None:
    """End a connection abruptly: no TLS close_notify, no HTTP."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm: ClassVar[bool] = True
    server_version, sys_version = "garmin-stand-in", ""
    server: Server

    def _meet(self) -> None:
        garmin = self.server.garmin
        length = self.headers.get("content-length", "0")
        if "transfer-encoding" in self.headers or not length.isdecimal():
            self.close_connection = True
            return self._send(Response(411))
        if int(length) > LARGEST_REQUEST_BYTES:
            self.close_connection = True
            return self._send(Response(413))
        parts = urlsplit(self.path)
        request = Request(
            method=self.command,
            host=self.headers.get("host", ""),
            path=parts.path,
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(int(length)),
        )
        if len(request.body) < int(length):
            self.close_connection = True  # the client died while sending: nothing has arrived
            return None
        try:
            answer, delay_s = garmin.answer(request)
        except Exception:
            garmin.unexpected.append(traceback.format_exc())
            answer, delay_s = Response(599), 0.0
        garmin.closing.wait(delay_s)
        return self._send(answer)

    do_GET = do_POST = do_PUT = do_DELETE = _meet  # noqa: N815

    def _send(self, answer: Response) -> None:
        if answer.drop == "before":
            self.close_connection = True
            return cut(self.connection)
        self.send_response(answer.status)
        if answer.content_type:
            self.send_header("content-type", answer.content_type)
        for name, value in answer.headers:
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("content-length", str(len(answer.body)))
        if self.close_connection:
            self.send_header("connection", "close")
        self.end_headers()
        body = answer.body[: len(answer.body) // 2] if answer.drop == "within" else answer.body
        self.wfile.write(body)
        if answer.drop == "within":
            self.close_connection = True
            cut(self.connection)
        return None

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Silent: `GarminStandIn.requests` is the log, and it holds no query."""
