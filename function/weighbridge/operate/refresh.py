"""make refresh: renew each stored token that has not been renewed for some days, so that no sign-in ends unused.

Facts: a sign-in ends about 30 days after its last renewal, and only use renews it. Meant for a schedule: once a day is
enough, a missed day does no harm, and a token that is fresh is left alone, so running it often costs nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from ..compose import garth_session, token_store
from ..errors import WeighbridgeError
from ..settings import Settings, read_settings

DAY_S = 86_400
RENEW_AFTER_DAYS = 6  # "at least weekly", when it runs once a day


def main(
    argv: Sequence[str],
    env: Mapping[str, str],
    *,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Renew what is due. Returns the exit code: 0, or 1 when a sign-in needs its person."""
    parser = argparse.ArgumentParser(prog="python -m scripts.refresh", description="Renew the stored Garmin tokens.")
    parser.add_argument("--now", action="store_true", help="renew each token, due or not")
    parser.add_argument("--daily", action="store_true", help="stay, and look once a day (for a container)")
    options = parser.parse_args(argv)
    while True:
        code = _look_once(env, now, forced=options.now)
        if not options.daily:
            return code
        sleep(DAY_S)


def _look_once(env: Mapping[str, str], now: Callable[[], float], *, forced: bool) -> int:
    try:
        settings = read_settings(env)
    except WeighbridgeError as fault:
        print(fault, file=sys.stderr)
        return 1
    names = ["default"] if settings.token_secret else sorted(p.stem for p in settings.tokens.glob("[!.]*.json"))
    if not names:
        print(f"There is no Garmin token in {settings.tokens}. Sign in once: make login.", file=sys.stderr)
        return 1
    return max([_renew(settings, name, now(), forced=forced) for name in names])


def _renew(settings: Settings, name: str, now_s: float, *, forced: bool) -> int:
    try:
        session = garth_session(settings, name)
        age_days = (now_s - token_store(settings, name).renewed_at()) / DAY_S
        if forced or age_days >= RENEW_AFTER_DAYS:
            session.renew()
            word = "renewed now"
        else:
            word = f"renewed {age_days:.0f} day(s) ago, and left alone"
        days = session.token_days_left()
    except (WeighbridgeError, ValueError, OSError) as fault:
        print(f"{name}: {fault}", file=sys.stderr, flush=True)
        return 1
    ends = "" if days is None else f"; the sign-in ends in {days:.0f} days"
    print(f"{name}: {word}{ends}.", flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:], os.environ))
    except KeyboardInterrupt:
        sys.exit(130)
