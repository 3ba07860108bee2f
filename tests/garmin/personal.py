"""Garmin's official Personal API: a person's own key gives a token for a day, which can only read.

Facts: the key comes as `Authorization: ApiKey …`, the token is sent as plain text. Twelve parallel calls were
answered 429 with `Retry-After: 14`; calls before that are refused again.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from .account import jwt
from .http_types import Request, Response, json_answer, json_error
from .weights import WeightStore

TOKEN_PATH = "/personalapitoken-service/personal-api/personal-api-key/token"
CALLS_A_SECOND = 11
RETRY_AFTER_S = 14


@dataclass
class PersonalApi:
    weights: WeightStore
    clock: Callable[[], float]
    #: What a test may change.
    key: str = field(default_factory=lambda: f"gpak_{secrets.token_urlsafe(24)}")
    token_lifetime_s: float = 86_400.0
    #: What a test may look at.
    tokens_given: int = 0
    refused_for_haste: int = 0
    _tokens: dict[str, float] = field(default_factory=dict)
    _calls: list[float] = field(default_factory=list)
    _closed_until_s: float = 0.0

    def token(self, request: Request) -> Response:
        if self._too_fast():
            return self._wait()
        if request.headers.get("authorization") != f"ApiKey {self.key}":
            return json_error(401, "The API key is not valid.")
        self.tokens_given += 1
        expires_at_s = self.clock() + self.token_lifetime_s
        token = jwt({"iss": "personal-api", "jti": secrets.token_hex(8), "exp": round(expires_at_s)})
        self._tokens[token] = expires_at_s
        return Response(200, token.encode(), "text/plain;charset=UTF-8")

    def range(self, request: Request) -> Response:
        if self._too_fast():
            return self._wait()
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or self._tokens.get(token, 0.0) <= self.clock():
            return json_error(401, "The token is not valid.")
        return self.weights.range(request)

    def withdraw_tokens(self) -> None:
        self._tokens.clear()

    def _too_fast(self) -> bool:
        now_s = self.clock()
        self._calls = [*(at for at in self._calls if at > now_s - 1), now_s]
        if now_s < self._closed_until_s or len(self._calls) > CALLS_A_SECOND:
            self._closed_until_s = now_s + RETRY_AFTER_S
            self.refused_for_haste += 1
            return True
        return False

    def _wait(self) -> Response:
        return json_answer(429, {"message": "Too Many Requests"}, ("retry-after", str(RETRY_AFTER_S)))
