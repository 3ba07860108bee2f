"""The stand-in as a separate process, so that anyone can try everything without a Garmin account."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

from .account import Account
from .faults import FAULTS
from .server import GarminStandIn

STORY = """\
A stand-in for Garmin Connect listens on https://connectapi.{domain}. Ctrl+C ends it, and all data is lost.

  export GARMIN_DOMAIN={domain}
  export GARMIN_CA_BUNDLE={ca_bundle}
  export GARMIN_PERSONAL_API_KEY={key}
{tokens}
Sign in as   {email}   password: {password}   code: {mfa_code}

What it holds         curl --cacert {ca_bundle} https://{domain}/stand-in/state
Make it fail          curl --cacert {ca_bundle} https://{domain}/stand-in/faults \\
                           -d '{{"route": "upload", "fault": "drop-after", "times": 1}}'
Other switches        curl --cacert {ca_bundle} -X POST https://{domain}/stand-in/SWITCH
                           with SWITCH: reset, expire-access-tokens, revoke
Routes                {routes}
Faults                {faults}
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.garmin", description=__doc__)
    parser.add_argument("--port", type=int, default=8443, help="0 means a free one")
    parser.add_argument(
        "--host-name", default="localhost", help="its host name; it also answers as connectapi.NAME and others"
    )
    parser.add_argument("--address", default="127.0.0.1", help="where it listens")
    parser.add_argument("--show-delay-s", type=float, default=0.0, help="seconds until an uploaded weigh-in is visible")
    parser.add_argument("--mfa-code", default="123456", help="'' means no second factor")
    parser.add_argument("--token-dir", type=Path, help="write a valid token there, as default.json")
    options = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    account = Account(mfa_code=options.mfa_code or None)
    stand_in = GarminStandIn(
        port=options.port,
        host_name=options.host_name,
        address=options.address,
        account=account,
        show_delay_s=options.show_delay_s,
    )
    with ExitStack() as stack:
        try:
            garmin = stack.enter_context(stand_in)
        except OSError as e:
            sys.exit(f"Port {options.port} cannot be used ({e.strerror}). Choose another: --port 0.")
        if options.token_dir:
            garmin.write_token(options.token_dir)
        print(story(garmin, options.token_dir), flush=True)
        stop.wait()


def story(garmin: GarminStandIn, token_dir: Path | None) -> str:
    return STORY.format(
        domain=garmin.domain,
        ca_bundle=garmin.ca_bundle,
        tokens=f"  export WEIGHBRIDGE_TOKENS={token_dir.resolve()}\n" if token_dir else "",
        key=garmin.personal.key,
        email=garmin.account.email,
        password=garmin.account.password,
        mfa_code=garmin.account.mfa_code or "none",
        routes=" ".join(route.name for route in garmin.routes),
        faults=" ".join(FAULTS),
    )


if __name__ == "__main__":
    main()
