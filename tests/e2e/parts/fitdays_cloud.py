"""A stand-in for the Fitdays cloud. It checks each request strictly, and can fail as the real one does.

Facts (the app, as documented by the library `fitdays` 1.0.0): every answer is HTTP 200 with a `code`. A query is signed
with MD5 over its sorted parameters. The password is sent as MD5(MD5(password + "hx")), in capitals. An account of
another region gets code 302 and a domain. An expired token gets code 401.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, quote_plus, urlsplit

EMAIL, PASSWORD = "ann@example.org", "a-password-of-ann"  # made up
UNSIGNED = ("sign", "capp_ver")


class FitdaysCloud:
    """One account with two people. `faults` lists how the next requests fail, in order."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.rows: list[dict[str, Any]] = []
        self.token = "token-1"  # made up
        self.logins = 0
        self.refused_logins = 0
        self.invalid_requests: list[str] = []
        self.faults: list[str] = []
        cloud = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, content = cloud.answer(self.path, body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((address, 0), Handler)
        self.address = f"http://{address}:{self._server.server_port}/api"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    def weigh(self, number: int, **values: object) -> None:
        """Add a weigh-in of yesterday, with the values of a scale."""
        row = {
            "data_id": f"d{number}",
            "suid": 7,
            "measured_time": int(time.time()) - 86_400 + 60 * number,
            "weight_g": 81_400,
            "weight_kg": 81.400001525879,
            "bfr": 18.2,
            "sfr": 16.1,
            "uvi": 7,
            "rom": 77.6,
            "rosm": 49.5,
            "bm": 3.4,
            "vwc": 56.4,
            "pp": 21.2,
            "bmi": 24.6,
            "bmr": 1765,
            "bodyage": 0,
            "hr": 0,
            "is_deleted": 0,
            "is_weight_only": 0,
            "adc": 501.0,
            "device_id": "a scale",
        }
        self.rows.append(row | values)

    def answer(self, target: str, body: bytes) -> tuple[int, bytes]:
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        if self.faults:
            match self.faults.pop(0):
                case "500":
                    return 500, b"{}"
                case "not json":
                    return 200, b"<html>"
                case "token expired":
                    self.token = f"token-{self.logins + 10}"
                case "other region":
                    return self._answer(302, domain=self.address.removesuffix("/api"))
                case other:
                    raise AssertionError(other)
        wrong = _invalid_part(query)
        if wrong:
            self.invalid_requests.append(wrong)
            return self._answer(-1, msg=wrong)
        values = json.loads(body)
        match parts.path:
            case "/api/users/login":
                return self._login(values)
            case "/api/sync/syncFromServer" if query["token"] != self.token:
                return self._answer(401, msg="token expired")
            case "/api/sync/syncFromServer":
                span = range(values["end_time"], values["start_time"] + 1)
                rows = [row for row in self.rows if row["measured_time"] in span]
                users = [
                    {"suid": 7, "nickname": "Ann", "is_deleted": 0},
                    {"suid": 8, "nickname": "Ben", "is_deleted": 0},
                ]
                return self._answer(0, data={"weight_list": rows, "users": users, "devices": [], "bind_device": []})
        self.invalid_requests.append(parts.path)
        return 404, b"{}"

    def _login(self, values: dict[str, str]) -> tuple[int, bytes]:
        once = hashlib.md5(f"{PASSWORD}hx".encode()).hexdigest().upper()  # as the app does
        twice = hashlib.md5(once.encode()).hexdigest().upper()
        if (values.get("email"), values.get("password")) != (EMAIL, twice):
            self.refused_logins += 1
            return self._answer(1002, msg="login failed")
        self.logins += 1
        return self._answer(0, data={"token": self.token, "account": {"uid": 3, "active_suid": 7}})

    @staticmethod
    def _answer(code: int, **more: object) -> tuple[int, bytes]:
        return 200, json.dumps({"code": code, "msg": "", **more}).encode()


def _invalid_part(query: dict[str, str]) -> str:
    """What is wrong with a query; empty if nothing."""
    signed = "&".join(f"{name}={query[name]}" for name in sorted(query) if name not in UNSIGNED)
    expected = hashlib.md5(quote_plus(f"{signed}hxsign", safe="*").encode()).hexdigest()
    if query.get("sign") != expected:
        return "the signature is wrong"
    if abs(int(query.get("timestamp", "0")) - time.time()) > 300:
        return "the time is wrong"
    return ""
