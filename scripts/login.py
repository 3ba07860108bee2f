"""make login: sign in to Garmin Connect once, at a terminal, and store the token for the function.

Rule: the password is asked for, never taken from an argument or a variable, and is kept nowhere. What is printed
holds no secret. After a failure the next attempt has to wait, because repeated failures lock an account for one
to three days; the waiting time is kept beside the token, so that a script in a loop meets it too.
"""

from __future__ import annotations

import argparse
import contextlib
import getpass
import json
import math
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pydantic import SecretStr

from function.delivery.sessions.garth import sign_in
from function.delivery.tokens import Token, TokenStore, parse_token
from function.errors import GarminUnreachable, RateLimited, SignInNeeded, TokenStoreUnusable, WeighbridgeError
from function.settings import Settings, read_settings

#: Seconds to wait after the first, second … failure in a row; the last one stays.
COOL_DOWN_S = (60, 300, 1800, 6 * 3600, 24 * 3600)
RATE_LIMIT_COOL_DOWN_S = 3600


def main(
    argv: Sequence[str],
    env: Mapping[str, str],
    *,
    ask: Callable[[str], str] = input,
    ask_secret: Callable[[str], str] = getpass.getpass,
    now: Callable[[], float] = time.time,
) -> int:
    """Sign in, or import a token. Returns the exit code: 0, or 1 with one sentence on stderr."""
    options = _parser().parse_args(argv)
    try:
        settings = read_settings(env)
        store = TokenStore(settings.tokens, options.name)
        if options.import_env or options.import_file:
            token = _imported(options, env)
        else:
            token = _signed_in(settings, CoolDown(store, now), options, ask, ask_secret)
        lifetime = _lifetime(token, now())
        store.save(token)
    except (WeighbridgeError, ValueError) as fault:
        print(fault, file=sys.stderr)
        return 1
    except (EOFError, KeyboardInterrupt):
        print("\nNothing was stored: the questions need answers at a terminal.", file=sys.stderr)
        return 1
    print(f"Stored in {store.path}. {lifetime}")
    if options.import_env or options.import_file:
        print("Use this token nowhere else from now on: each renewal here makes the copy there worthless.")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scripts.login", description="Sign in to Garmin Connect once.")
    parser.add_argument("--name", default="default", help="which token to store (default: %(default)s)")
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--import",
        dest="import_file",
        metavar="FILE",
        help="take the token from garmin_tokens.json (garminconnect), oauth2_token.json (garth-ng) or a GARTH_TOKEN "
        "string; - reads it from the standard input",
    )
    source.add_argument("--import-env", action="store_true", help="take the token from the variable GARTH_TOKEN")
    source.add_argument(
        "--ignore-cool-down",
        action="store_true",
        help="try at once after a failure; the risk: repeated failures lock the account for one to three days",
    )
    return parser


def _imported(options: argparse.Namespace, env: Mapping[str, str]) -> Token:
    if options.import_env:
        text = env.get("GARTH_TOKEN", "")
        if not text:
            raise ValueError("The variable GARTH_TOKEN is not set.")
        return parse_token(text)
    try:
        if options.import_file == "-":
            return parse_token(sys.stdin.read())
        return parse_token(Path(options.import_file).read_text(encoding="utf-8"))
    except OSError as e:
        raise ValueError(f"{options.import_file} cannot be read: {e.strerror}.") from e
    except UnicodeDecodeError:
        raise ValueError(f"{options.import_file} is not a text file.") from None


def _signed_in(
    settings: Settings,
    cool_down: CoolDown,
    options: argparse.Namespace,
    ask: Callable[[str], str],
    ask_secret: Callable[[str], str],
) -> Token:
    if not options.ignore_cool_down:
        cool_down.check()
    # Before the questions: a folder that cannot take the token would waste a sign-in.
    cool_down.probe()
    email = ask("Garmin e-mail: ").strip()
    password = SecretStr(ask_secret("Password (not shown): "))
    print("Signing in; this takes some seconds …", flush=True)
    try:
        token = sign_in(
            email,
            password,
            prompt_mfa=lambda: ask_secret("Code from your e-mail or app (not shown): "),
            domain=settings.garmin_domain,
            ca_bundle=settings.garmin_ca_bundle,
        )
    except GarminUnreachable:
        raise  # says nothing about the account
    except WeighbridgeError as fault:
        cool_down.begin(fault)
        raise
    cool_down.end()
    return token


class CoolDown:
    """When the next attempt may be made, in a file beside the token."""

    def __init__(self, store: TokenStore, now: Callable[[], float]) -> None:
        self._path = store.path.with_suffix(".cool-down")
        self._now = now

    def check(self) -> None:
        """Raises `RateLimited` while it lasts."""
        _, until = self._read()
        left_s = math.ceil(until - self._now())
        if left_s > 0:
            raise RateLimited(
                f"The last sign-in failed. Wait {_duration(left_s)} before the next one: repeated failures lock the "
                "account for one to three days. (--ignore-cool-down tries at once, at that risk.)",
                left_s,
            )

    def probe(self) -> None:
        """Raises `TokenStoreUnusable` when the folder cannot be written."""
        self._write(*self._read())

    def begin(self, fault: WeighbridgeError) -> None:
        failures, _ = self._read()
        wait_s = COOL_DOWN_S[min(failures, len(COOL_DOWN_S) - 1)]
        if isinstance(fault, RateLimited):
            wait_s = max(wait_s, fault.retry_after_s, RATE_LIMIT_COOL_DOWN_S)
        self._write(failures + 1, self._now() + wait_s)

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _read(self) -> tuple[int, float]:
        try:
            state = json.loads(self._path.read_text(encoding="utf-8"))
            return int(state["failures"]), float(state["until"])
        except (OSError, ValueError, TypeError, KeyError):
            return 0, 0.0

    def _write(self, failures: int, until: float) -> None:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path.write_text(json.dumps({"failures": failures, "until": until}), encoding="utf-8")
        except OSError as e:
            raise TokenStoreUnusable(
                f"The token folder {self._path.parent} cannot be written: {e.strerror}. Mend that, or name another "
                "folder with WEIGHBRIDGE_TOKENS; Garmin was not asked."
            ) from e


def _lifetime(token: Token, now_s: float) -> str:
    """Raises `SignInNeeded` when it is over already."""
    if token.refresh_expires_at is None:
        return "Garmin did not say when the sign-in ends; usually after 30 days without use."
    days = (token.refresh_expires_at - now_s) / 86_400
    if days <= 0:
        raise SignInNeeded("This token has ended already. Sign in anew: make login.")
    return f"The sign-in ends in {days:.0f} days; each renewal of the token begins them anew."


def _duration(seconds: int) -> str:
    if seconds < 120:
        return "1 second" if seconds == 1 else f"{seconds} seconds"
    return f"{math.ceil(seconds / 60)} minutes" if seconds < 7200 else f"{math.ceil(seconds / 3600)} hours"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
