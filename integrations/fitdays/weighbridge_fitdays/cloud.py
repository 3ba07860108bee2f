"""The Fitdays cloud, over the library `fitdays` -> weigh-ins.

Facts (fitdays 1.0.0, unofficial): `weight_g` is what the scale sent. The other masses except the bone are percentages
of it, and zero means "not measured". `suid` is the person, `data_id` the weigh-in. A row that was deleted in the app
has `is_deleted`, and the library drops it. Tokens last long. On some servers a new sign-in ends the app's own, so a
token that works is reused.

Weakness: the cloud is undocumented, and the library unofficial; either may change on any day.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fitdays import FitdaysClient, Session
from fitdays.constants import DEFAULT_API_BASE
from fitdays.signing import hash_password

from .settings import Settings

#: The values that the function or a person can use; the rest is about the scale.
KEYS = (
    *(
        "measured_time",
        "weight_g",
        "bfr",
        "sfr",
        "uvi",
        "rom",
        "rosm",
        "bm",
        "vwc",
        "pp",
        "bmi",
        "bmr",
        "bodyage",
        "hr",
    ),
    *("suid", "data_id", "is_weight_only"),
)


@dataclass(frozen=True, slots=True)
class CloudWeighIn:
    id: str
    suid: int
    #: The person's name; "" if there is none.
    person: str
    #: With the cloud's own keys, which the function knows.
    values: Mapping[str, Any]


async def weigh_ins(
    settings: Settings, token: Mapping[str, Any], keep: Callable[[dict[str, Any]], None]
) -> list[CloudWeighIn]:
    """The cloud's weigh-ins of the last days, oldest first. `keep` is called with each new token.

    Raises `FitdaysError`, whose text is the cloud's.
    """
    session = Session.from_dict({"api_base": settings.api or DEFAULT_API_BASE, **token})
    session.email, session.password_hash = settings.email, hash_password(settings.password)

    def renewed(new: Session) -> None:
        keep({name: value for name, value in new.to_dict().items() if name not in ("email", "password_hash")})

    async with FitdaysClient.from_session(session, token_updated=renewed) as client:
        if not session.token:
            await client.async_login()
        found = await client.get_sync(days=settings.days)
    names = {profile.suid: profile.nickname or "" for profile in found.profiles} | dict(settings.people)
    return [
        CloudWeighIn(
            id=str(row.data_id or f"{row.suid}-{row.raw.get('measured_time')}"),
            suid=row.suid or 0,
            person=names.get(row.suid, ""),
            values={key: row.raw[key] for key in KEYS if row.raw.get(key) is not None},
        )
        for row in reversed(found.measurements)
    ]
