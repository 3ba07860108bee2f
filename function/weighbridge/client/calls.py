"""The calls, blocking and async.

Rule: every call returns a `Reply`. No exception of the HTTP library leaves this module, because its text may hold what
was sent. Proxies from the environment are not used: the function is on the local network.

Strategy: a call is data (method, path, parameters, body), so the two clients share everything except the sending.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Self
from urllib.parse import quote

import httpx

from .. import __version__
from ..secret import SecretStr
from .answers import Expected, Reply, no_answer, read_reply
from .settings import Target

#: The function looks in Garmin Connect, uploads, and looks again. That takes time.
TIMEOUT = httpx.Timeout(300, connect=5)

#: The name in `User-Agent` by which the function knows that its caller shows its user what is refused.
PROGRAM = "weighbridge"


@dataclass(frozen=True, slots=True)
class _Call:
    method: str
    path: str
    expected: Expected
    params: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = field(default=None, repr=False)
    media_type: str = "application/json"
    #: Whether its connection is closed afterwards.
    closes: bool = False


def _health() -> _Call:
    return _Call("GET", "/health", "health")


def _post(reading: str | bytes, person: str, *, dry_run: bool, replace: bool) -> _Call:
    query = {**_switches(dry_run=dry_run, replace=replace), **_whose(person)}
    return _Call("POST", "/readings", "receipts", query, _bytes(reading))


def _post_lines(lines: Sequence[bytes], *, dry_run: bool, replace: bool) -> _Call:
    switches = _switches(dry_run=dry_run, replace=replace)
    # A connection belongs to one of the server's processes. Many dry runs are work for all of them, so each gets a
    # new connection, which goes to a process that has time for it.
    return _Call("POST", "/readings", "receipts", switches, b"\n".join(lines), "application/x-ndjson", closes=dry_run)


def _fit(reading: str | bytes, person: str) -> _Call:
    return _Call("POST", "/fit", "file", _whose(person), _bytes(reading))


def _readings(first: str, last: str, person: str) -> _Call:
    return _Call("GET", "/readings", "entries", {"from": first, "to": last, **_whose(person)})


def _delete(reading_id: str, person: str) -> _Call:
    return _Call("DELETE", f"/readings/{quote(reading_id, safe='', errors='replace')}", "nothing", _whose(person))


def _connection(person: str) -> _Call:
    return _Call("GET", "/sign-in", "connection", _whose(person))


def _sign_in(step: Mapping[str, SecretStr], person: str) -> _Call:
    body = json.dumps({name: text.get_secret_value() for name, text in step.items()})
    return _Call("POST", "/sign-in", "connection", _whose(person), body.encode())


def _sign_out(person: str) -> _Call:
    return _Call("DELETE", "/sign-in", "nothing", _whose(person))


def _switches(**switches: bool) -> dict[str, str]:
    return {name: "true" for name, on in switches.items() if on}


def _whose(person: str) -> dict[str, str]:
    return {"person": person} if person else {}


def _user_agent(program: str) -> dict[str, str]:
    return {"User-Agent": f"{program}/{__version__}"}


def _bytes(text: str | bytes) -> bytes:
    # Half a surrogate pair is sent as it is: the function rejects it as JSON that is not valid UTF-8.
    return text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text


class Client:
    """A client of the function at one address. It keeps its connections open until `close`.

    `transport`: connections that several clients share.
    """

    def __init__(
        self, target: Target, *, timeout: httpx.Timeout = TIMEOUT, transport: httpx.BaseTransport | None = None
    ) -> None:
        self.address, self._target = target.url, target
        self._http = httpx.Client(headers=_user_agent(PROGRAM), timeout=timeout, trust_env=False, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def health(self) -> Reply:
        """Whether the function could deliver a reading now."""
        return self._send(_health())

    def post(self, reading: str | bytes, *, dry_run: bool = False, replace: bool = False, person: str = "") -> Reply:
        """Deliver one reading (JSON), or several (a JSON array). `person`: whose it is, whatever it says itself."""
        return self._send(_post(reading, person, dry_run=dry_run, replace=replace))

    def post_lines(self, lines: Sequence[bytes], *, dry_run: bool = False, replace: bool = False) -> Reply:
        """Deliver several readings, each a JSON text."""
        return self._send(_post_lines(lines, dry_run=dry_run, replace=replace))

    def fit(self, reading: str | bytes, *, person: str = "") -> Reply:
        """The proven file of a reading. Nothing is sent."""
        return self._send(_fit(reading, person))

    def readings(self, first: str, last: str, *, person: str = "") -> Reply:
        """The entries in Garmin Connect from one day to another, each such as 2026-11-23."""
        return self._send(_readings(first, last, person))

    def delete(self, reading_id: str, *, person: str = "") -> Reply:
        """Delete one entry."""
        return self._send(_delete(reading_id, person))

    def connection(self, *, person: str = "") -> Reply:
        """Whether somebody has signed in to Garmin."""
        return self._send(_connection(person))

    def sign_in(self, step: Mapping[str, SecretStr], *, person: str = "") -> Reply:
        """One step of signing in to Garmin: email and password, state and code, or a ticket."""
        return self._send(_sign_in(step, person))

    def sign_out(self, *, person: str = "") -> Reply:
        """Sign out of Garmin."""
        return self._send(_sign_out(person))

    def _send(self, call: _Call) -> Reply:
        try:
            response = self._http.send(_request(self._http, self._target, call))
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as e:
            return _failed(self.address, e)
        return _reply(self.address, call, response)


class AsyncClient:
    """The same, async."""

    def __init__(self, target: Target, *, timeout: httpx.Timeout = TIMEOUT, program: str = PROGRAM) -> None:
        """`program`: another name for one that does not show its user what the function refuses."""
        self.address, self._target = target.url, target
        self._http = httpx.AsyncClient(headers=_user_agent(program), timeout=timeout, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._http.aclose()

    async def post(self, reading: str | bytes, *, replace: bool = False, person: str = "") -> Reply:
        """Deliver one reading (JSON), or several (a JSON array). `person`: whose it is, whatever it says itself."""
        return await self._send(_post(reading, person, dry_run=False, replace=replace))

    async def post_lines(self, lines: Sequence[bytes]) -> Reply:
        """Deliver several readings, each a JSON text."""
        return await self._send(_post_lines(lines, dry_run=False, replace=False))

    async def _send(self, call: _Call) -> Reply:
        try:
            response = await self._http.send(_request(self._http, self._target, call))
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as e:
            return _failed(self.address, e)
        return _reply(self.address, call, response)


def _request(http: httpx.Client | httpx.AsyncClient, target: Target, call: _Call) -> httpx.Request:
    headers = target.headers()
    if call.body is not None:
        headers["Content-Type"] = call.media_type
    if call.closes:
        headers["Connection"] = "close"
    url = f"{target.url}{call.path}"
    return http.build_request(call.method, url, params=call.params or None, content=call.body, headers=headers)


def _failed(address: str, fault: Exception) -> Reply:
    # Only the class: the text may hold what was sent.
    reached = not isinstance(fault, httpx.ConnectError | httpx.ConnectTimeout | httpx.InvalidURL | UnicodeError)
    return no_answer(address, f"The attempt ended with {type(fault).__name__}.", reached=reached)


def _reply(address: str, call: _Call, response: httpx.Response) -> Reply:
    return read_reply(
        response.status_code,
        response.headers,
        response.content,
        expected=call.expected,
        address=address,
        now=datetime.now(UTC),
    )
