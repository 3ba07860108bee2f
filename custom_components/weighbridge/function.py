"""The calls of the function, wherever it runs.

Rule: every call returns an `Answer`. What differs between a function with an address and one inside this Home
Assistant is the transport, which moves one request.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import quote

from aiohttp import ClientError, ClientSession, ClientTimeout

from .answers import Answer, no_answer, not_the_function, read_answer

#: The function looks in Garmin Connect, uploads, and looks again. That takes time.
_TIMEOUT = ClientTimeout(total=300, connect=10)
#: Its health needs neither.
_HEALTH_S = 15

#: By its beginning the function knows that what it refuses is shown to a person here, so it sends no notice of it.
USER_AGENT: Final = "weighbridge/home-assistant"


class Response(NamedTuple):
    status: int
    content: bytes


class Transport(Protocol):
    async def send(self, method: str, path: str, query: Mapping[str, str], body: bytes | None) -> Response | str:
        """The response, or why there is none. `path` is quoted."""
        ...


class Http:
    """To a function at an address."""

    def __init__(self, session: ClientSession, url: str, key: str) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._headers = {"User-Agent": USER_AGENT} | ({"X-API-Key": key} if key else {})

    async def send(self, method: str, path: str, query: Mapping[str, str], body: bytes | None) -> Response | str:
        headers = self._headers | ({"Content-Type": "application/json"} if body is not None else {})
        try:
            async with self._session.request(
                method,
                self._url + path,
                params=query,
                data=body,
                headers=headers,
                timeout=_TIMEOUT,
                allow_redirects=False,
            ) as response:
                return Response(response.status, await response.read())
        except (ClientError, TimeoutError, ValueError, RuntimeError, AssertionError) as e:
            # Only the class: the text may hold what was sent. The last two come from a session that Home Assistant has
            # closed because it stops.
            return f"The attempt ended with {type(e).__name__}."


class Function:
    """`person`: a name in the function, or "" where it has one account only."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def health(self) -> Answer:
        """Whether a reading could be delivered now."""
        try:
            async with asyncio.timeout(_HEALTH_S):
                answer = await self._ask("GET", "/health")
        except TimeoutError:
            return no_answer(f"It did not answer within {_HEALTH_S} seconds.")
        return answer if not answer.ok or "delivery" in answer.body else not_the_function(answer.status)

    async def post(
        self,
        reading: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        person: str = "",
        replace: bool = False,
        dry_run: bool = False,
    ) -> Answer:
        """Deliver one reading, or each of several."""
        query = {"replace": "true"} if replace else {}
        query |= {"dry_run": "true"} if dry_run else {}
        return await self._ask("POST", "/readings", query, person, reading)

    async def readings(self, first: str, last: str, *, person: str = "") -> Answer:
        """The weigh-ins in Garmin Connect from one day to another, each such as 2026-11-23."""
        return await self._ask("GET", "/readings", {"from": first, "to": last}, person)

    async def delete(self, reading_id: str, *, person: str = "") -> Answer:
        """Delete one weigh-in in Garmin Connect."""
        return await self._ask("DELETE", f"/readings/{quote(reading_id, safe='')}", {}, person)

    async def connection(self, *, person: str = "") -> Answer:
        """Who is signed in to Garmin, and until when."""
        return await self._ask("GET", "/sign-in", {}, person)

    async def sign_in(self, step: Mapping[str, str], *, person: str = "") -> Answer:
        """One step of signing in to Garmin: email and password, state and code, or a ticket."""
        return await self._ask("POST", "/sign-in", {}, person, step)

    async def sign_out(self, *, person: str = "") -> Answer:
        return await self._ask("DELETE", "/sign-in", {}, person)

    async def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        person: str = "",
        document: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    ) -> Answer:
        query = {**(query or {}), **({"person": person} if person else {})}
        body = json.dumps(document).encode() if document is not None else None
        response = await self._transport.send(method, path, query, body)
        return no_answer(response) if isinstance(response, str) else read_answer(response.status, response.content)
