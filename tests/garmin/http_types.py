"""The types that the parts of the stand-in share: a complete request, and an answer to send."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Literal
from urllib.parse import parse_qs


@dataclass(frozen=True)
class Request:
    method: str
    host: str  # with the port, as the client wrote it
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    path_values: Mapping[str, str] = field(default_factory=dict)

    def form(self) -> dict[str, str]:
        fields = parse_qs(self.body.decode("utf-8", "replace"), keep_blank_values=True)
        return {name: values[0] for name, values in fields.items()}

    def cookie(self, name: str) -> str | None:
        morsel = SimpleCookie(self.headers.get("cookie", "")).get(name)
        return morsel.value if morsel else None


@dataclass(frozen=True)
class Response:
    status: int
    body: bytes = b""
    content_type: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    #: "before" sends nothing at all, "within" stops in the middle of the body; both then drop the connection.
    drop: Literal["no", "before", "within"] = "no"


def json_answer(status: int, value: object, *headers: tuple[str, str]) -> Response:
    return Response(status, json.dumps(value).encode(), "application/json;charset=UTF-8", headers)


def html_answer(status: int, text: str, *headers: tuple[str, str]) -> Response:
    return Response(status, text.encode(), "text/html;charset=UTF-8", headers)


def json_error(status: int, message: str) -> Response:
    exceptions = {400: "BadRequestException", 401: "NotAuthorizedException", 404: "NotFoundException"}
    return json_answer(status, {"message": message, "error": exceptions[status]})
