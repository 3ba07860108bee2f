"""weighbridge refresh: renew each token that was not renewed for some days, so that no sign-in ends for lack of use.

Facts: a sign-in ends about 30 days after its last renewal, and only use renews it. Meant for a schedule: once a day is
enough, a missed day does no harm, and running it more often costs nothing, because a fresh token is left alone. It
also reports a last delivery that failed, if the next one would, too. With --deliver-kept, what was kept while a sign-in
was missing arrives at most a day after the sign-in is back, without anybody.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from ..commands import DEFAULT_TOKEN
from ..commands import command as typed
from ..compose import garmin_names, notifier_of, sign_in_watch, token_library, token_session, token_store
from ..errors import WeighbridgeError
from ..garmin.sessions.token_session import TokenSession
from ..garmin.tokens import Store
from ..notify.send import Notifier
from ..settings import Settings, read_settings
from . import options
from .deliver_kept import deliver_unasked
from .surroundings import Surroundings

DAY_S = 86_400
RENEW_AFTER_DAYS = 6  # "at least weekly", when it runs once a day


@click.command("refresh")
@click.option("--force", is_flag=True, help="Renew each token, due or not.")
@click.option("--daily", is_flag=True, help="Keep running, and check once a day. For a container.")
@click.option("--deliver-kept", is_flag=True, help="Then also deliver the files that were kept, without asking.")
@click.pass_obj
def command(around: Surroundings, *, force: bool, daily: bool, deliver_kept: bool) -> int:
    """Renew the token of everyone who has signed in, if it is due."""
    while True:
        code = _look_once(around, force=force, deliver_kept=deliver_kept)
        if not daily:
            return code
        around.sleep(DAY_S)


def _look_once(around: Surroundings, *, force: bool, deliver_kept: bool) -> int:
    try:
        settings = read_settings(around.environment)
        names = _names(settings)
        people = options.tokens_of_people(settings) if not names else []
    except WeighbridgeError as fault:
        # Not raised: a container that keeps running tries again tomorrow.
        print(fault, file=sys.stderr, flush=True)
        return 1
    if not names:
        logins = ", ".join(typed("login", name) for name in people or [DEFAULT_TOKEN])
        print(f"There is no Garmin token in {settings.tokens}. Sign in once: {logins}.", file=sys.stderr)
        return 1
    accounts = [settings.for_person(name) for name in names]
    code = max([_renew(account, around.now(), force=force, deliver_kept=deliver_kept) for account in accounts])
    # Afterwards, because a token is renewed even if nobody can be notified.
    try:
        notifier = notifier_of(settings)
    except WeighbridgeError as fault:
        print(fault, file=sys.stderr, flush=True)
        return 1
    if notifier:
        for account in accounts:
            _notify(account, notifier)
    return code


def _notify(settings: Settings, notifier: Notifier) -> None:
    """Notify the owner of a sign-in that ends or has ended."""
    try:
        session = token_session(token_library(settings), settings)
        why = sign_in_watch(settings, session, notifier).look()
    except (WeighbridgeError, ValueError) as fault:  # a file with another name
        why = str(fault)
    if why:
        print(f"{settings.token_name}: a notice was not sent: {why}", file=sys.stderr, flush=True)


def _names(settings: Settings) -> Sequence[str]:
    """The names of all tokens. A folder can be listed; elsewhere the names must be known."""
    if settings.tokens_in_folder:
        return sorted(path.stem for path in settings.tokens.glob("[!.]*.json"))
    return options.tokens_of_people(settings) or [DEFAULT_TOKEN]


def renew_if_due(session: TokenSession, store: Store, now_s: float, *, force: bool = False) -> str:
    """Renew the token of this store if it is due, and say whether it was. Raises as `TokenSession.renew` does, and
    `OSError` if there is no token."""
    age_days = (now_s - store.renewed_at()) / DAY_S
    if force or age_days >= RENEW_AFTER_DAYS or session.renewal_failure():
        session.renew()
        return "renewed now"
    return f"renewed {age_days:.0f} day(s) ago, and left alone"


def _renew(settings: Settings, now_s: float, *, force: bool, deliver_kept: bool) -> int:
    name = settings.token_name
    try:
        session = token_session(token_library(settings), settings)
        word = renew_if_due(session, token_store(settings), now_s, force=force)
        days = session.token_days_left()
    except (WeighbridgeError, ValueError, OSError) as fault:  # a file with another name; a token that is gone
        print(f"{name}: {fault}", file=sys.stderr, flush=True)
        return 1
    ends = "" if days is None else f"; the sign-in ends in {days:.0f} days"
    print(f"{name}: {word}{ends}.", flush=True)
    # Before the look at the last delivery, which may be one of these.
    try:
        left = deliver_kept and not deliver_unasked(settings)
    except WeighbridgeError as fault:
        print(f"{name}: {fault}", file=sys.stderr, flush=True)
        left = True
    # Without a regular look at /health, nobody else would say so.
    for delivery in garmin_names(settings):
        if trouble := session.last_outcome(delivery).trouble(now_s):
            print(f"{name}: the last delivery failed. {trouble}", file=sys.stderr, flush=True)
            return 1
    return 1 if left else 0
