"""make login-browser: sign in to Garmin Connect in a browser window, whose profile the delivery `browser` then uses.

Rule: the person types into Garmin's own page; nothing of it passes through here. What is kept is the browser's profile,
in a folder that only its owner can read.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence

from ..compose import browser_session
from ..errors import WeighbridgeError
from ..settings import read_settings

WAIT_S = 900


def main(argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Open the window and wait. Returns the exit code: 0 when somebody has signed in."""
    parser = argparse.ArgumentParser(prog="python -m scripts.login_browser", description="Sign in in a browser window.")
    parser.add_argument("--wait-s", type=float, default=WAIT_S, help="for how long (default: %(default)s)")
    options = parser.parse_args(argv)
    try:
        settings = read_settings(env)
        session = browser_session(settings)
        print(
            "A browser window opens with Garmin Connect. Sign in there, tick 'remember me', and answer what Garmin "
            "asks (cookies, consent).\nThis ends by itself when the page of your activities is there.",
            flush=True,
        )
        session.sign_in(options.wait_s)
    except WeighbridgeError as fault:
        print(fault, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(
        f"Signed in. The profile lies in {settings.browser_profile}: give it to the machine that delivers, and set "
        "WEIGHBRIDGE_DELIVERY=browser,folder or garth,browser,folder."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
