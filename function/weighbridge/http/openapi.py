"""The contract as OpenAPI 3.1, made from the models and tables that the function itself uses.

Rule: nothing is repeated here that exists elsewhere in code: values come from the reading's table, receipts from
their type, faults from the table of problems.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import get_args

from pydantic import TypeAdapter

from .. import errors
from ..delivery.port import Source
from ..errors import Again, Blame
from ..notes import Code
from ..reading.bodies import SHAPES
from ..reading.measures import MEASURES
from ..reasons import Sentences, Why
from ..receipt import Receipt
from ..settings import ALL_RIGHTS
from .body import MEDIA_TYPES
from .encoding import PRETTY
from .problems import FAULTS
from .sign_in import LONGEST_TEXT, STEPS

_REF = "#/components/schemas/"
_QUERY_SWITCHES = {
    "dry_run": "Show what would be sent, and send nothing.",
    "replace": "Replace an entry at the same instant that has other values; the new one is confirmed first.",
}
_INDENTED = {PRETTY: "Indent the JSON of the answer, for people."}


def _switches(switches: Mapping[str, str]) -> list[Mapping[str, object]]:
    return [
        {"name": name, "in": "query", "description": meaning, "schema": {"type": "boolean", "default": False}}
        for name, meaning in switches.items()
    ]


_WHOSE: Mapping[str, object] = {
    "name": "person",
    "in": "query",
    "description": "Whose account, by name or alias. Needed only if several people are configured.",
    "schema": {"type": "string"},
}
#: Of a reading, whatever it says itself.
_CHOSEN: Mapping[str, object] = {
    "name": "person",
    "in": "query",
    "description": "Whose the readings are, by name or alias, whatever they say themselves: the answer to the problem "
    "`person-unclear`.",
    "schema": {"type": "string"},
}

#: A parameter of every operation that answers with JSON.
_PRETTY = _switches(_INDENTED)


def document() -> dict[str, object]:
    """The OpenAPI document."""
    receipt = TypeAdapter(Receipt).json_schema(ref_template=_REF + "{model}", mode="serialization")
    definitions: dict[str, object] = receipt.pop("$defs", {})
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Weighbridge",
            "version": "1",
            "description": "Takes a weigh-in from any smart scale, proves it as a FIT file, delivers it to Garmin "
            "Connect and reads it back.",
        },
        "paths": {
            "/": {"get": _GET_PAGE, "post": _post_readings("weigh")},
            "/readings": {"post": _post_readings("weighReadings"), "get": _GET_READINGS},
            "/readings/{id}": {"delete": _DELETE_READING},
            "/fit": {"post": _POST_FIT},
            "/sign-in": {"get": _GET_SIGN_IN, "post": _POST_SIGN_IN, "delete": _DELETE_SIGN_IN},
            "/health": {"get": _GET_HEALTH},
            "/openapi.json": {"get": _GET_OPENAPI},
        },
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
            "schemas": {
                "Reading": _reading(),
                "Body": _whole_body(),
                "Receipt": receipt,
                "Results": _RESULTS,
                "WeighIns": _WEIGH_INS,
                "Health": _HEALTH,
                "SignIn": _sign_in(),
                "Connection": _CONNECTION,
                "CodeNeeded": _CODE_NEEDED,
                "Problem": _PROBLEM,
                **definitions,
                "ReceiptNote": _coded("text", Code, "What it is about, for programs."),
            },
        },
    }


def _coded(
    sentence: str, table: type[Sentences], what: str, properties: Mapping[str, object] | None = None
) -> dict[str, object]:
    """A sentence with its code and its parameters, next to other `properties`."""
    properties = {
        **(properties or {}),
        "code": {"type": "string", "enum": [member.code for member in table], "description": what},
        "params": {
            "type": "object",
            "description": "The numbers and names in the sentence, for a translation. A reason or a problem within it "
            "is an object of `code`, `params` and `message`.",
        },
        sentence: {"type": "string", "description": "The sentence in English, for people."},
    }
    return {"type": "object", "required": list(properties), "properties": properties}


def _reading() -> dict[str, object]:
    measures: dict[str, object] = {
        name: {
            "description": f"{measure.label}, {measure.minimum} to {measure.maximum} {measure.unit}".rstrip()
            + ". A text may carry its unit.",
            "anyOf": [{"type": "number", "minimum": 0, "maximum": float(measure.maximum)}, {"type": "string"}]
            + ([] if name == "weight_kg" else [{"type": "null"}]),
        }
        for name, measure in MEASURES.items()
    }
    return {
        "type": "object",
        "description": "One weigh-in in Weighbridge's own names. The names of the Fitdays app, Home Assistant, "
        "openScale and others are understood too (the documentation lists them). Values must agree with each other.",
        "required": ["weight_kg"],
        "properties": {
            "measured_at": {
                "description": "ISO 8601, or epoch seconds or milliseconds. If it is missing, `received_at` is used, "
                "or else the time of arrival.",
                "anyOf": [{"type": "string"}, {"type": "number"}, {"type": "null"}],
            },
            "received_at": {
                "description": "When the caller received the reading: used if the reading has no time of its own. "
                "Always add it if a reading may be sent twice.",
                "anyOf": [{"type": "string"}, {"type": "number"}, {"type": "null"}],
            },
            **measures,
            "person": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
        "additionalProperties": True,
    }


def _whole_body() -> dict[str, object]:
    bodies = " · ".join(f"{shape.name}: {shape.what}" for shape in SHAPES)
    return {
        "type": "object",
        "description": "What another program sends, as it is. If several weigh-ins are in it, the answer is a list. "
        + bodies,
        "additionalProperties": True,
    }


#: What only a sign-in can answer, and what it cannot.
_OF_SIGN_INS = frozenset(
    {kind for kind in FAULTS if issubclass(kind, errors.SignInRejected)}
    | {errors.SignInEnded, errors.SignInInvalid, errors.CoolDown, errors.SignInBlocked}
)
_NOT_OF_SIGN_INS = frozenset({errors.ReadingRejected, errors.OutcomeUnknown})


def _problems(*statuses: int, not_of: frozenset[type[Exception]] = _OF_SIGN_INS) -> dict[str, object]:
    """The faults of the table, with one response for each status."""
    faults = [fault for kind, fault in FAULTS.items() if fault.status in statuses and kind not in not_of]
    return {
        str(status): {
            "description": "; ".join(fault.title for fault in faults if fault.status == status) + ".",
            "content": {"application/problem+json": {"schema": {"$ref": _REF + "Problem"}}},
        }
        for status in sorted({fault.status for fault in faults})
    }


def _json(description: str, schema: str) -> dict[str, object]:
    return {"description": description, "content": {"application/json": {"schema": {"$ref": _REF + schema}}}}


def _one_or_many(one: str, many: str) -> dict[str, object]:
    return {"application/json": {"schema": {"anyOf": [{"$ref": _REF + one}, {"$ref": _REF + many}]}}}


_SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"apiKey": []}, {}]
_SET_UP = (500,)
_ACCESS = (401, 403)
_GARMIN = (502, 503, 504)

_DOCUMENT: Mapping[str, object] = {"anyOf": [{"$ref": _REF + "Reading"}, {"$ref": _REF + "Body"}]}
_FORM: Mapping[str, object] = {
    "type": "object",
    "required": ["weight_kg"],
    "properties": {name: {"type": "string", "minLength": 1} for name in ("measured_at", "received_at", *MEASURES)},
    "additionalProperties": {"type": "string"},
}
#: What a schema can say. Of JSON as text and of lines of JSON, it cannot: only the description names them.
_SCHEMAS: Mapping[str, Mapping[str, object]] = {
    "application/json": {"anyOf": [_DOCUMENT, {"type": "array", "items": _DOCUMENT}]},
    "application/cloudevents+json": {
        "type": "object",
        "required": ["specversion", "type", "source", "id", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            **{name: {"type": "string", "minLength": 1} for name in ("type", "source", "id")},
            "data": _DOCUMENT,
        },
    },
    **dict.fromkeys(("application/x-www-form-urlencoded", "multipart/form-data"), _FORM),
}
_BODY: Mapping[str, object] = {
    "required": True,
    "description": "With `Content-Encoding: gzip`, the limit holds for the inflated body. "
    + " · ".join(f"{kind}: {known.what}" for kind, known in MEDIA_TYPES.items()),
    "content": {kind: {"schema": _SCHEMAS[kind]} for kind in MEDIA_TYPES if kind in _SCHEMAS},
}


def _post_readings(operation_id: str) -> dict[str, object]:
    return {
        "operationId": operation_id,
        "summary": "Deliver one reading or several: as JSON, as a form, or as the whole body of another program.",
        "security": _SECURITY,
        "parameters": [*_switches(_QUERY_SWITCHES), _CHOSEN, *_PRETTY],
        "requestBody": _BODY,
        "responses": {
            "200": {
                "description": "Checked, or already present in Garmin; or each of several readings is delivered.",
                "content": _one_or_many("Receipt", "Results"),
            },
            "201": _json("Confirmed: read back from Garmin.", "Receipt"),
            "202": _json("Accepted by Garmin but not visible yet, or kept for import by hand.", "Receipt"),
            "207": _json("Several readings, at least one of which has a problem.", "Results"),
            **_problems(400, *_ACCESS, 404, 408, 409, 413, 415, 422, *_SET_UP, *_GARMIN),
        },
    }


_POST_FIT: Mapping[str, object] = {
    "operationId": "makeFit",
    "summary": "The proven FIT file itself; nothing is sent.",
    "security": _SECURITY,
    "parameters": [_CHOSEN, *_PRETTY],
    "requestBody": _BODY,
    "responses": {
        "200": {
            "description": "The file.",
            "content": {"application/vnd.ant.fit": {"schema": {"type": "string", "format": "binary"}}},
        },
        **_problems(400, *_ACCESS, 404, 408, 413, 415, 422, *_SET_UP),
    },
}

#: Of an entry: its day, and a number.
_ID = "^[0-9]{4}-[0-9]{2}-[0-9]{2}[.][0-9]{1,20}$"
_DAY: Mapping[str, object] = {"type": "string", "format": "date"}

_GET_READINGS: Mapping[str, object] = {
    "operationId": "listReadings",
    "summary": "What Garmin holds, or without a connection to Garmin what is kept as files, in Weighbridge's names and "
    "units. Default: the last 30 days.",
    "security": _SECURITY,
    "parameters": [
        {"name": "from", "in": "query", "schema": _DAY},
        {"name": "to", "in": "query", "schema": _DAY},
        _WHOSE,
        *_PRETTY,
    ],
    "responses": {"200": _json("The weigh-ins.", "WeighIns"), **_problems(400, *_ACCESS, 404, *_SET_UP, *_GARMIN)},
}

_DELETE_READING: Mapping[str, object] = {
    "operationId": "deleteReading",
    "summary": "Delete one weigh-in in Garmin, or without a connection to Garmin from its kept file.",
    "security": _SECURITY,
    "parameters": [
        {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "pattern": _ID}},
        _WHOSE,
        *_PRETTY,
    ],
    "responses": {
        "204": {"description": "Deleted."},
        **_problems(400, *_ACCESS, 404, *_SET_UP, *_GARMIN),
    },
}

_GET_SIGN_IN: Mapping[str, object] = {
    "operationId": "connection",
    "summary": "Whether somebody has signed in to Garmin, as far as it is known here; Garmin is not asked.",
    "security": _SECURITY,
    "parameters": [_WHOSE, *_PRETTY],
    "responses": {
        "200": _json("The connection.", "Connection"),
        **_problems(400, *_ACCESS, 404, *_SET_UP, 503),
    },
}

_POST_SIGN_IN: Mapping[str, object] = {
    "operationId": "signIn",
    "summary": "Sign in to Garmin in two steps, or with the ticket of your own browser.",
    "description": "Only for a key whose rights name `administer`, and only over HTTPS or from the same machine. The "
    "password is used once and not stored. After `code-rejected`, another code may be sent with the same `state`. "
    "It lasts for five minutes, and a sign-in can be finished once.",
    "security": _SECURITY,
    "parameters": [_WHOSE, *_PRETTY],
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": _REF + "SignIn"}}},
    },
    "responses": {
        "200": _json("Signed in: a token is stored, after one read with it.", "Connection"),
        "202": _json("The password is right, and Garmin asks for a code.", "CodeNeeded"),
        **_problems(400, *_ACCESS, 404, 408, 410, 413, 415, 422, 429, 500, 502, 503, not_of=_NOT_OF_SIGN_INS),
    },
}

_DELETE_SIGN_IN: Mapping[str, object] = {
    "operationId": "signOut",
    "summary": "Sign out: delete the stored token. Nothing in Garmin is deleted.",
    "security": _SECURITY,
    "parameters": [_WHOSE, *_PRETTY],
    "responses": {
        "204": {"description": "Signed out."},
        **_problems(400, *_ACCESS, 404, *_SET_UP, 503),
    },
}

_GET_HEALTH: Mapping[str, object] = {
    "operationId": "health",
    "summary": "Whether a reading could be delivered now. Holds no secret and no measurement.",
    "security": _SECURITY,
    "parameters": _PRETTY,
    "responses": {
        "200": _json("It could.", "Health"),
        "503": _json("It could not; `delivery.detail` names the fix.", "Health"),
        **_problems(400, 401, *_SET_UP),
    },
}

_GET_PAGE: Mapping[str, object] = {
    "operationId": "page",
    "summary": "A small page for a browser: a client whose Accept header names text/html.",
    "responses": {
        "200": {
            "description": "What this address is, with links. Holds no setting and no measurement.",
            "content": {"text/html": {"schema": {"type": "string"}}},
        },
        **_problems(405),
    },
}

_GET_OPENAPI: Mapping[str, object] = {
    "operationId": "openapi",
    "summary": "This document.",
    "security": _SECURITY,
    "parameters": _PRETTY,
    "responses": {
        "200": {"description": "The document.", "content": {"application/json": {"schema": {"type": "object"}}}},
        **_problems(400, 401, *_SET_UP),
    },
}

_PROBLEM: Mapping[str, object] = {
    "type": "object",
    "description": "RFC 9457.",
    "required": ["type", "title", "status", "detail", "blame", "again"],
    "properties": {
        "type": {"type": "string", "enum": [f"urn:weighbridge:{fault.slug}" for fault in FAULTS.values()]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "blame": {
            "type": "string",
            "enum": list(get_args(Blame)),
            "description": "Who can do something about it; owner: whoever runs the function.",
        },
        "again": {
            "type": "string",
            "enum": list(get_args(Again)),
            "description": "When the same request may be sent again: never, later, or after somebody has fixed "
            "something (a key, an address, a setting, a sign-in).",
        },
        "retry_after_s": {"type": "integer", "description": "The same as the header Retry-After."},
        "errors": {
            "type": "array",
            "items": _coded(
                "message",
                Why,
                "Why it was rejected, for programs.",
                {
                    "field": {"type": "string", "description": "The caller's name for the value."},
                    "input": True,
                },
            ),
        },
        "candidates": {
            "type": "array",
            "items": {"type": "string"},
            "description": "person-unclear: the people it may belong to. Ask, then send it again with `person`.",
        },
        "ours": {"type": "object", "description": "409: the values sent."},
        "theirs": {"type": "array", "items": {"type": "object"}, "description": "409: the entries Garmin holds."},
        "added": {
            "type": "array",
            "items": {"type": "string"},
            "description": "409: the values sent that the entry does not have.",
        },
        "changed": {
            "type": "array",
            "items": {"type": "string"},
            "description": "409: the values sent that the entry has otherwise. If there are none, `replace=true` only "
            "adds.",
        },
    },
}

_RESULT: Sequence[Mapping[str, object]] = ({"$ref": _REF + "Receipt"}, {"$ref": _REF + "Problem"})


def _results(of: Sequence[Mapping[str, object]], description: str) -> dict[str, object]:
    return {
        "type": "object",
        "description": description,
        "required": ["results"],
        "properties": {"results": {"type": "array", "items": {"anyOf": [*of]}}},
    }


_RESULTS: Mapping[str, object] = _results(
    (*_RESULT, _results(_RESULT, "Of a document with several weigh-ins, in a list.")),
    "One for each document of a list, in the order of the list; or one for each weigh-in of a single document.",
)

_WEIGH_INS: Mapping[str, object] = {
    "type": "object",
    "required": ["from", "to", "source", "readings"],
    "properties": {
        "from": _DAY,
        "to": _DAY,
        "source": {
            "type": "string",
            "enum": list(get_args(Source)),
            "description": "folder: the function is not connected to Garmin, and these are the files that wait for "
            "import.",
        },
        "readings": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "calendar_date"],
                "properties": {"id": {"type": "string"}, "calendar_date": _DAY},
            },
        },
    },
}


def _sign_in() -> dict[str, object]:
    about = {
        "password": "Used once, and not stored.",
        "state": "From the answer to the first step.",
        "code": "The code of the second factor.",
        "ticket": "The address at which your own browser ends after `browser_page`, or the ticket in it.",
    }
    return {
        "oneOf": [
            {
                "type": "object",
                "required": list(names),
                "additionalProperties": False,
                "properties": {
                    name: {
                        "type": "string",
                        "minLength": 1,
                        "maxLength": LONGEST_TEXT,
                        **({"description": about[name]} if name in about else {}),
                    }
                    for name in names
                },
            }
            for names in STEPS
        ]
    }


_TIME: Mapping[str, object] = {"type": "string", "format": "date-time"}

_CONNECTION: Mapping[str, object] = {
    "type": "object",
    "required": ["signed_in", "uploads", "browser_page"],
    "properties": {
        "signed_in": {"type": "boolean"},
        "signed_in_as": {"type": "string", "description": "The name that Garmin shows for the account."},
        "until": {**_TIME, "description": "When the sign-in ends, unless it is renewed."},
        "detail": {"type": "string", "description": "Why nobody is signed in."},
        "uploads": {
            "type": "boolean",
            "description": "Whether weigh-ins are uploaded; if not, WEIGHBRIDGE_DELIVERY says to keep files.",
        },
        "browser_page": {"type": "string", "description": "Where your own browser gets a ticket."},
        "retry_after_s": {"type": "integer", "description": "How long the next password has to wait."},
    },
}

_CODE_NEEDED: Mapping[str, object] = {
    "type": "object",
    "required": ["state", "expires_at"],
    "properties": {
        "state": {"type": "string", "description": "A secret, for the second step."},
        "expires_at": _TIME,
    },
}

_HEALTH: Mapping[str, object] = {
    "type": "object",
    "required": ["status", "template", "delivery"],
    "properties": {
        "status": {"type": "string", "enum": ["ok", "not ready"]},
        "version": {"type": "string", "description": "Of the function. Only with a key."},
        "instance": {"type": "string", "description": "The id of the process. Only with a key."},
        "key": {
            "type": "object",
            "description": "The key that was sent, and whose weigh-ins it is for: nobody's name if there is one "
            "account.",
            "required": ["name", "rights", "people"],
            "properties": {
                "name": {"type": "string"},
                "rights": {"type": "array", "items": {"type": "string", "enum": sorted(ALL_RIGHTS)}},
                "people": {"type": "array", "items": {"type": "string"}},
            },
        },
        "template": {"type": "object"},
        "timezone": {
            "type": "string",
            "description": "For times without an offset, such as Europe/Berlin. Only with a key that may `administer`.",
        },
        "delivery": {
            "type": "object",
            "required": ["name", "ready"],
            "properties": {
                "name": {"type": "string"},
                "ready": {"type": "boolean"},
                "code": {
                    "type": "string",
                    "description": "Why it is not ready: the type of a problem, or `sign-in-not-renewed`. Only with a "
                    "key that may `administer`.",
                },
                "again": {
                    "type": "string",
                    "enum": ["later", "after_repair"],
                    "description": "Whether it will be ready by itself, or once somebody has repaired something.",
                },
                "detail": {
                    "type": "string",
                    "description": "How to fix it, also before a sign-in ends. Only with a key that may `administer`.",
                },
                "token_days_left": {"type": "number", "description": "Days until the sign-in ends, unless renewed."},
                "last_outcome": {
                    "type": "object",
                    "description": "What the last delivery came to. Only with a key that may `administer`.",
                    "required": ["code", "at"],
                    "properties": {
                        "code": {
                            "type": "string",
                            "description": "A status, or the type of a problem.",
                        },
                        "at": {"type": "string", "format": "date-time"},
                    },
                },
                "last_success_at": {
                    "type": "string",
                    "format": "date-time",
                    "description": "When Garmin last took a reading, or showed that it has it (UTC). Only with a key "
                    "that may `administer`.",
                },
            },
        },
    },
}
