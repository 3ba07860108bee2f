"""make deliver-kept: deliver the files that were kept, now that a sign-in works, and confirm each.

Rule: a file is put away only when each of its weigh-ins was read back from Garmin Connect, or was there already. What
every file would meet (no sign-in, no network, a rate limit) ends the run; what one file alone meets does not. Run
again as often as you like: the same file is the same weigh-in. Nothing printed is a measurement.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..compose import garmin_connect, garmin_names
from ..delivery.chain import Chain
from ..delivery.kept import Kept, kept_files, put_away, read_kept
from ..delivery.port import Delivered, Delivery, Outcome
from ..errors import (
    GarminUnreachable,
    NotConnected,
    RateLimited,
    SettingsInvalid,
    SignInNeeded,
    TokenStoreUnusable,
    WeighbridgeError,
)
from ..pipeline import prove
from ..settings import read_settings

SHARED = (SettingsInvalid, NotConnected, SignInNeeded, TokenStoreUnusable, RateLimited, GarminUnreachable)


def main(argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Deliver what waits. Returns the exit code: 0 when nothing is left, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m scripts.deliver_kept", description="Deliver the kept files.")
    parser.add_argument("--replace", action="store_true", help="replace entries at the same instant with other values")
    parser.add_argument(
        "--name", default="default", help="whose files, where WEIGHBRIDGE_PEOPLE is set: their token's name"
    )
    options = parser.parse_args(argv)
    try:
        settings = read_settings(env)
        if options.name != "default":
            settings = replace(
                settings,
                folder=settings.folder / options.name,
                browser_profile=settings.browser_profile / options.name,
            )
        paths = kept_files(settings.folder)
        links = [garmin_connect(name, settings, options.name) for name in garmin_names(settings)] if paths else []
    except WeighbridgeError as fault:
        print(fault, file=sys.stderr)
        return 1
    left = 0
    for number, path in enumerate(paths):
        try:
            kept = read_kept(path)
            outcomes = _deliver(kept, Chain(links), replace=options.replace)
            left += not _settle(kept, outcomes)
        except SHARED as fault:
            print(f"{fault} {len(paths) - number} file(s) still wait in {settings.folder}.", file=sys.stderr)
            return 1
        except WeighbridgeError as fault:
            left += 1
            _say("waits", path.name, str(fault))
    if not paths:
        print(f"Nothing waits in {settings.folder}.")
    return 1 if left else 0


def _deliver(kept: Kept, delivery: Delivery, *, replace: bool) -> Sequence[Outcome]:
    return delivery.deliver(kept.readings, lambda some: prove(kept.template, some), replace=replace)


def _settle(kept: Kept, outcomes: Sequence[Outcome]) -> bool:
    """Say what became of a file. True when all of it has arrived."""
    open_ = [o for o in outcomes if isinstance(o, WeighbridgeError) or o.status not in ("confirmed", "present")]
    if not open_:
        put_away(kept)
        statuses = sorted({o.status for o in outcomes if isinstance(o, Delivered)})
        _say(" and ".join(statuses), kept.path.name)
        return True
    for reason in dict.fromkeys(_reason(outcome) for outcome in open_):
        _say("waits", kept.path.name, reason)
    return False


def _reason(outcome: Outcome) -> str:
    return str(outcome) if isinstance(outcome, WeighbridgeError) else " ".join(outcome.warnings)


def _say(what: str, name: str, why: str = "") -> None:
    print(f"  {what:<10}{name}{f': {why}' if why else ''}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
