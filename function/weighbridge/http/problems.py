"""ProblemType -> RFC 9457 problem: the one table of each fault's status and how long to wait."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .. import errors
from ..errors import WeighbridgeError


class ProblemType(NamedTuple):
    status: int
    slug: str
    title: str
    retry_after_s: int | None = None


#: The status follows from who is to blame. A class that is not here has the row of its nearest ancestor.
FAULTS: Mapping[type[Exception], ProblemType] = {
    errors.NotHttp: ProblemType(400, "not-http", "This is not a valid HTTP request"),
    errors.NotJson: ProblemType(400, "not-json", "The body is not the JSON that was expected"),
    errors.QueryInvalid: ProblemType(400, "query-invalid", "The query of the address is wrong"),
    errors.Unauthorized: ProblemType(401, "unauthorized", "A key is needed"),
    errors.Forbidden: ProblemType(403, "forbidden", "The key is not for this"),
    errors.NotFound: ProblemType(404, "not-found", "There is nothing here"),
    errors.MethodNotAllowed: ProblemType(405, "method-not-allowed", "Method not allowed here"),
    errors.TooSlow: ProblemType(408, "too-slow", "The request arrived too slowly"),
    errors.Conflict: ProblemType(409, "conflict", "Garmin holds other values for this instant"),
    errors.TooLarge: ProblemType(413, "too-large", "The body is too large"),
    errors.AddressTooLong: ProblemType(414, "address-too-long", "The address is too long"),
    errors.MediaTypeUnsupported: ProblemType(415, "media-type-unsupported", "This type of body is not supported"),
    errors.SignInEnded: ProblemType(410, "sign-in-ended", "The sign-in has ended"),
    errors.SignInInvalid: ProblemType(422, "sign-in-invalid", "The body is not a sign-in"),
    errors.CodeRejected: ProblemType(422, "code-rejected", "Garmin rejected the code"),
    errors.CodesUsedUp: ProblemType(422, "codes-used-up", "This sign-in cannot send another code"),
    errors.TicketRejected: ProblemType(422, "ticket-rejected", "Garmin rejected the ticket"),
    errors.AccountLocked: ProblemType(422, "account-locked", "Garmin has locked the account"),
    errors.SignInRejected: ProblemType(422, "sign-in-rejected", "Garmin rejected the sign-in"),
    errors.CoolDown: ProblemType(429, "cool-down", "Wait before the next sign-in"),
    errors.ReadingRejected: ProblemType(422, "reading-rejected", "The reading cannot be right"),
    errors.PersonUnclear: ProblemType(422, "person-unclear", "Whose weigh-in is this?"),
    errors.SettingsInvalid: ProblemType(500, "settings-invalid", "The function is misconfigured"),
    errors.TemplateUnusable: ProblemType(500, "template-unusable", "The template cannot be used"),
    errors.Busy: ProblemType(503, "busy", "Too many requests at once", 5),
    errors.ProofFailed: ProblemType(500, "proof-failed", "The file could not be proven; nothing was sent"),
    errors.SignInBlocked: ProblemType(502, "sign-in-blocked", "Garmin blocks this way to sign in"),
    errors.GarminRefused: ProblemType(502, "garmin-refused", "Garmin Connect refused"),
    errors.FolderUnusable: ProblemType(503, "folder-unusable", "The file could not be kept", 60),
    errors.TokenStoreUnusable: ProblemType(
        503, "token-store-unusable", "The Garmin token cannot be read or saved", 300
    ),
    errors.SignInNeeded: ProblemType(503, "sign-in-needed", "Signing in to Garmin is needed", 3600),
    errors.GarminUnreachable: ProblemType(503, "garmin-unreachable", "Garmin Connect cannot be reached", 60),
    errors.RateLimited: ProblemType(503, "rate-limited", "Garmin Connect asks to wait"),
    errors.OutcomeUnknown: ProblemType(504, "outcome-unknown", "Garmin Connect gave no answer", 60),
    Exception: ProblemType(500, "internal-error", "Internal error"),
}


def problem(fault: Exception) -> dict[str, object]:
    """The body of the answer to a fault."""
    kind = kind_of(fault)
    # Only the message of our own faults is shown; that of another exception may contain what the caller sent.
    ours = isinstance(fault, WeighbridgeError)
    detail = str(fault) if ours else "Nothing is known to have been sent. The log names the place."
    problem: dict[str, object] = {
        "type": f"urn:weighbridge:{kind.slug}",
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "blame": fault.blame if isinstance(fault, WeighbridgeError) else WeighbridgeError.blame,
        "again": fault.again if isinstance(fault, WeighbridgeError) else WeighbridgeError.again,
    }
    # Repeated here for callers that see no header (Home Assistant's rest_command) and for parts of a batch.
    if (pause_s := _retry_after_s(fault)) is not None:
        problem["retry_after_s"] = pause_s
    if isinstance(fault, errors.ValuesRejected):
        problem["errors"] = [{"field": e.field, "input": e.input, **e.reason.shown()} for e in fault.errors]
    if isinstance(fault, errors.PersonUnclear):
        problem["candidates"] = fault.candidates
    if isinstance(fault, errors.Conflict):
        problem |= {"ours": fault.ours, "theirs": fault.theirs}
        problem |= {"added": fault.added, "changed": fault.changed}
    return problem


def headers_of(fault: Exception) -> dict[str, str]:
    """The headers that a fault's status requires."""
    headers: dict[str, str] = {}
    if (pause_s := _retry_after_s(fault)) is not None:
        headers["Retry-After"] = str(pause_s)
    if isinstance(fault, errors.MethodNotAllowed):
        headers["Allow"] = ", ".join(fault.allowed)
    if isinstance(fault, errors.TooSlow):
        headers["Connection"] = "close"  # the rest of the body would be read as the next request
    if isinstance(fault, errors.Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    return headers


def _retry_after_s(fault: Exception) -> int | None:
    return fault.retry_after_s if isinstance(fault, errors.RateLimited) else kind_of(fault).retry_after_s


def kind_of(fault: Exception) -> ProblemType:
    """The row of the table for this fault: that of its class, or of the nearest ancestor."""
    return next(FAULTS[kind] for kind in type(fault).__mro__ if kind in FAULTS)
