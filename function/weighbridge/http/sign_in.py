"""The body of `POST /sign-in`, and what is shown of a connection.

Rule: a value is a secret until it is known to be none. Nothing that came is ever repeated, and every text is wrapped as
soon as it is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ..compose import only_files
from ..errors import FieldError, SignInInvalid
from ..reasons import Why
from ..secret import SecretStr

if TYPE_CHECKING:
    from ..login import CodeNeeded, Login
    from ..settings import Settings

#: The steps, by the names of their fields.
STEPS = (("email", "password"), ("state", "code"), ("ticket",))
#: A ticket may come in the whole address at which a browser ended.
LONGEST_TEXT = 4_000


def read_step(body: object) -> tuple[tuple[str, ...], tuple[SecretStr, ...]]:
    """The step, and its values in the order of its names. Raises `SignInInvalid`."""
    fields = body if isinstance(body, dict) else {}
    step = next((names for names in STEPS if set(names) == fields.keys()), None)
    if step is None:
        known = " or ".join(" and ".join(names) for names in STEPS)
        raise SignInInvalid([FieldError("", None, Why.STEP_EXPECTED(known=known))])
    wrong = [
        FieldError(name, None, Why.TEXT_EXPECTED(maximum=LONGEST_TEXT))
        for name in step
        if not isinstance(fields[name], str) or not 1 <= len(fields[name]) <= LONGEST_TEXT or not _is_text(fields[name])
    ]
    if wrong:
        raise SignInInvalid(wrong)
    return step, tuple(SecretStr(fields[name]) for name in step)


def _is_text(value: str) -> bool:
    # Half a surrogate pair cannot be sent on.
    return value.isprintable() and bool(value.strip())


def connection(login: Login, settings: Settings) -> dict[str, object]:
    """Whether somebody has signed in, and what is needed to do so."""
    known = login.connection()
    shown: dict[str, object] = {
        "signed_in": not known.detail,
        "uploads": not only_files(settings),
        "browser_page": login.browser_page,
    }
    shown |= {"signed_in_as": known.name} if known.name else {}
    shown |= {"until": _time(known.until)} if known.until else {}
    shown |= {"detail": known.detail} if known.detail else {}
    shown |= {"retry_after_s": left_s} if (left_s := login.left_s()) else {}
    return shown


def code_needed(needed: CodeNeeded) -> Mapping[str, object]:
    return {
        "state": needed.state.get_secret_value(),
        "expires_at": _time(datetime.fromtimestamp(needed.expires_at, UTC)),
    }


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
