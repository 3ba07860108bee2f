"""The tree of faults. An exception's class says whose fault it is (`blame`) and whether the same request may be sent
again (`again`); both go out with every problem, so that no caller needs a table of its own. The HTTP shell alone turns
a class into a status.

Rule: a message names what came, what was expected and how to fix it. It never holds a secret, a FIT byte
or a measurement. Measurements that a caller needs in order to fix the request are attributes
(`FieldError.input`, `Conflict.ours`, `Conflict.theirs`): they go into the response, and never into a log.

    WeighbridgeError
    ├── CallerFault                 the request is to blame; sending it again unchanged will not help
    │   ├── NotJson                 the body is not the JSON it should be
    │   ├── QueryInvalid            a query parameter is unknown or has a value that it cannot have
    │   ├── TooSlow
    │   ├── TooLarge                more than the size limit
    │   ├── MediaTypeUnsupported
    │   ├── NotFound                no such weigh-in, no such person
    │   │   └── NoSuchAddress       the path is not one of ours: the caller's set-up is to blame
    │   ├── MethodNotAllowed
    │   ├── Unauthorized            no key, or a wrong one
    │   ├── Forbidden               no key is configured, and the caller is not this machine
    │   ├── ReadingRejected         a value is to blame; `errors` names each
    │   └── Conflict                Garmin holds other values for the same instant
    ├── OwnerFault                  the set-up is to blame; whoever runs the function can fix it
    │   ├── SettingsInvalid
    │   ├── TemplateUnusable
    │   ├── FolderUnusable          disk full, not writable
    │   ├── TokenStoreUnusable      token file damaged, not writable
    │   ├── NotConnected            asked for what only Garmin can answer, but no Garmin delivery is set
    │   └── SignInNeeded            no token, or Garmin no longer takes it
    ├── ProofFailed                 our own fault: the bytes did not decode to the reading; nothing was sent
    └── GarminFault                 Garmin, or the way to it, is to blame
        ├── GarminRefused           Garmin said no, and will say no again
        ├── GarminUnreachable       nothing was sent
        ├── RateLimited             Garmin said: later
        └── OutcomeUnknown          sent, but no word came back, and a look did not find it
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

#: Who can do something about it.
Blame = Literal["caller", "owner", "garmin", "weighbridge"]

#: never: the same request will never be taken · later: it may be taken without anyone doing anything ·
#: after_repair: somebody has to fix something first (a key, an address, a setting, a sign-in)
Again = Literal["never", "later", "after_repair"]


@dataclass(frozen=True, slots=True)
class FieldError:
    """One value to blame: the caller's own name for it, what came, and a sentence with what was expected."""

    field: str
    input: object
    message: str


class WeighbridgeError(Exception):
    """Root of every fault that Weighbridge raises on purpose."""

    blame: ClassVar[Blame] = "weighbridge"
    again: ClassVar[Again] = "later"
    #: True when it is certain that nothing reached Garmin, so that another delivery may take over.
    nothing_sent = True


class CallerFault(WeighbridgeError):
    blame = "caller"
    again: ClassVar[Again] = "never"


class NotJson(CallerFault): ...


class TooSlow(CallerFault):
    again = "later"


class TooLarge(CallerFault): ...


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
    again = "after_repair"


class Forbidden(CallerFault):
    again = "after_repair"


class ValuesRejected(CallerFault):
    """Named values are to blame. The message says only how many; `errors` holds names, values and reasons."""

    def __init__(self, message: str, errors: Sequence[FieldError]) -> None:
        super().__init__(message)
        self.errors = tuple(errors)


class QueryInvalid(ValuesRejected):
    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("The query of the address was not understood; nothing was done.", errors)


class ReadingRejected(ValuesRejected):
    """One or more values of the reading cannot be right."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("The reading was rejected; nothing was sent.", errors)


class Conflict(CallerFault):
    """Garmin already holds an entry at this instant, with other values (both sets in our names and units)."""

    def __init__(self, message: str, ours: Mapping[str, object], theirs: Sequence[Mapping[str, object]]) -> None:
        super().__init__(message)
        self.ours = dict(ours)
        self.theirs = tuple(dict(entry) for entry in theirs)


class OwnerFault(WeighbridgeError):
    blame = "owner"
    again = "after_repair"


class SettingsInvalid(OwnerFault): ...


class TemplateUnusable(OwnerFault): ...


class FolderUnusable(OwnerFault): ...


class TokenStoreUnusable(OwnerFault): ...


class NotConnected(OwnerFault): ...


class SignInNeeded(OwnerFault): ...


class ProofFailed(WeighbridgeError):
    again = "after_repair"


class GarminFault(WeighbridgeError):
    blame = "garmin"


class GarminRefused(GarminFault):
    again = "after_repair"


class GarminUnreachable(GarminFault): ...


class RateLimited(GarminFault):
    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class OutcomeUnknown(GarminFault):
    nothing_sent = False
