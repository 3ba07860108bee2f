"""The tree of faults. An exception's class says who is to blame (`blame`) and when the same request may be sent again
(`again`). Both are part of every problem, so no caller needs a table of its own. Only the HTTP shell turns a class
into a status.

Rule: a message says what was expected, what came and how to fix it. It never holds a secret, a FIT byte or a
measurement. Measurements that a caller needs to fix the request are attributes (`FieldError.input`,
`Conflict.ours`, `Conflict.theirs`): they go into the response and never into a log.

    WeighbridgeError
    ├── CallerFault                 the request is to blame; sending it again unchanged will not help
    │   ├── NotHttp                 the bytes are not a request of HTTP
    │   ├── NotJson                 the body is not JSON, or not the JSON that was expected
    │   ├── QueryInvalid            a query parameter is unknown or has an invalid value
    │   ├── TooSlow
    │   ├── TooLarge                more than the size limit
    │   ├── AddressTooLong          more than the limit of a request line
    │   ├── MediaTypeUnsupported
    │   ├── NotFound                no such weigh-in, no such person
    │   │   └── NoSuchAddress       nothing is at this path: the caller's configuration is to blame
    │   ├── MethodNotAllowed
    │   ├── Unauthorized            no key, or a wrong one
    │   ├── Forbidden               the key lacks a right, or is for other people
    │   ├── ReadingRejected         a value is to blame; `errors` names each
    │   │   └── PersonUnclear       someone at hand can say whose it is
    │   ├── SignInInvalid           the body is not that of a sign-in; `errors` names each field
    │   ├── SignInRejected          Garmin rejected an e-mail or a password
    │   │   ├── CodeRejected        Garmin rejected the code of the second factor; another one may be sent
    │   │   ├── CodesUsedUp         Garmin rejected the code, and this sign-in cannot send another
    │   │   ├── TicketRejected      the ticket of a person's own browser is missing, was used, or is too old
    │   │   └── AccountLocked       Garmin has locked the account after too many failures
    │   ├── SignInEnded             no sign-in waits for this code: too late, used already, or another person's
    │   └── Conflict                Garmin holds other values for the same instant
    ├── OwnerFault                  the configuration is to blame; whoever runs the function can fix it
    │   ├── SettingsInvalid
    │   ├── TemplateUnusable
    │   ├── FolderUnusable          disk full, not writable
    │   ├── TokenStoreUnusable      token file damaged, not writable
    │   └── SignInNeeded            no token, or Garmin no longer accepts it
    ├── Busy                        too many requests wait already; nothing was sent
    ├── ProofFailed                 a bug: the bytes did not decode to the reading; nothing was sent
    └── GarminFault                 Garmin, or the connection to it, is to blame
        ├── GarminRefused           Garmin refused, and would refuse again
        │   └── SignInBlocked       Garmin lets no program sign in this way; a person's own browser may be let in
        ├── GarminUnreachable       nothing was sent
        ├── RateLimited             Garmin asks to wait
        │   └── CoolDown            the last sign-in failed, and the next one has to wait
        └── OutcomeUnknown          sent, but no answer came, and the weigh-in was not found
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from .reasons import Reason

#: Who can fix it.
Blame = Literal["caller", "owner", "garmin", "weighbridge"]

#: never: the same request will never succeed · later: it may succeed without anyone doing anything ·
#: after_repair: somebody must fix something first (a key, an address, a setting, a sign-in)
Again = Literal["never", "later", "after_repair"]


@dataclass(frozen=True, slots=True)
class FieldError:
    """An invalid value: the caller's name for it, what came, and why it is rejected: what was expected."""

    field: str
    input: object
    reason: Reason

    @property
    def code(self) -> str:
        return self.reason.why.code

    @property
    def message(self) -> str:
        return str(self.reason)


class WeighbridgeError(Exception):
    """The base of every fault that Weighbridge raises on purpose."""

    blame: ClassVar[Blame] = "weighbridge"
    again: ClassVar[Again] = "later"
    #: True if it is certain that nothing reached Garmin. Another delivery may then take over.
    nothing_sent = True

    @property
    def code(self) -> str:
        """The name of its class, or of the nearest ancestor in the tree: `sign-in-needed`."""
        name = next(kind.__name__ for kind in type(self).__mro__ if kind.__module__ == __name__)
        return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()

    def shown(self) -> dict[str, object]:
        """As it is within a note."""
        return {"code": self.code, "params": {}, "message": str(self)}


class CallerFault(WeighbridgeError):
    blame = "caller"
    again: ClassVar[Again] = "never"


class NotHttp(CallerFault):
    again = "after_repair"


class NotJson(CallerFault): ...


class TooSlow(CallerFault):
    again = "later"


class TooLarge(CallerFault): ...


class AddressTooLong(CallerFault):
    again = "after_repair"


class MediaTypeUnsupported(CallerFault):
    again = "after_repair"


class NotFound(CallerFault): ...


class NoSuchAddress(NotFound):
    again = "after_repair"


class MethodNotAllowed(CallerFault):
    again = "after_repair"

    def __init__(self, message: str, allowed: Sequence[str]) -> None:
        super().__init__(message)
        self.allowed = tuple(allowed)


class Unauthorized(CallerFault):
    """`sent`: whether a key came at all."""

    again = "after_repair"

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class Forbidden(CallerFault):
    again = "after_repair"


class ValuesRejected(CallerFault):
    """Values are to blame. `errors` holds their names, the values and the reasons; the message does not."""

    def __init__(self, message: str, errors: Sequence[FieldError]) -> None:
        super().__init__(message)
        self.errors = tuple(errors)


class QueryInvalid(ValuesRejected):
    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("The query of the address is not valid; nothing was done.", errors)


class ReadingRejected(ValuesRejected):
    """One or more values of the reading are not valid."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("The reading was rejected; nothing was sent.", errors)


class PersonUnclear(ReadingRejected):
    """The reading does not say whose it is, and nothing else settles it.

    `candidates`: the names to choose from. With one of them as `?person=`, the same reading can be sent again.
    """

    def __init__(self, errors: Sequence[FieldError], candidates: Sequence[str]) -> None:
        super().__init__(errors)
        self.candidates = tuple(candidates)


class SignInInvalid(ValuesRejected):
    """The fields of a sign-in are not as expected. No `input` is ever shown, since it may be a secret."""

    again = "never"

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__(
            "This is not a sign-in. Garmin was not asked.", [FieldError(e.field, None, e.reason) for e in errors]
        )


class SignInRejected(CallerFault):
    again = "after_repair"


class CodeRejected(SignInRejected): ...


class CodesUsedUp(SignInRejected): ...


class TicketRejected(SignInRejected): ...


class AccountLocked(SignInRejected): ...


class SignInEnded(CallerFault): ...


class Conflict(CallerFault):
    """Garmin already holds an entry at this instant, with other values. Both are in our names and units.

    `added` and `changed`: the attributes that the reading would add to the entry, and those that it would change.
    """

    def __init__(
        self,
        message: str,
        ours: Mapping[str, object],
        theirs: Sequence[Mapping[str, object]],
        *,
        added: Sequence[str] = (),
        changed: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.ours = dict(ours)
        self.theirs = tuple(dict(entry) for entry in theirs)
        self.added = tuple(added)
        self.changed = tuple(changed)


class OwnerFault(WeighbridgeError):
    blame = "owner"
    again = "after_repair"


class SettingsInvalid(OwnerFault): ...


class TemplateUnusable(OwnerFault): ...


class FolderUnusable(OwnerFault): ...


class TokenStoreUnusable(OwnerFault): ...


class SignInNeeded(OwnerFault): ...


class Busy(WeighbridgeError):
    blame = "owner"


class ProofFailed(WeighbridgeError):
    again = "after_repair"


class GarminFault(WeighbridgeError):
    blame: ClassVar[Blame] = "garmin"


class GarminRefused(GarminFault):
    again = "after_repair"


class SignInBlocked(GarminRefused): ...


class GarminUnreachable(GarminFault): ...


class RateLimited(GarminFault):
    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class CoolDown(RateLimited): ...


class OutcomeUnknown(GarminFault):
    nothing_sent = False
