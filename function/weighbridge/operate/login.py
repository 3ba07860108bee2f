"""weighbridge login: sign in to Garmin Connect once, at a terminal, and store the token for the function.

Rule: the password is asked for, never taken from an argument or a variable, and never stored. Nothing printed holds a
secret. After a failure the next attempt has to wait, because repeated failures lock an account for one to three days.
The waiting time is stored next to the token, so that it also stops a script in a loop. A token is stored only after
one read with it, as the function will use it: Garmin may refuse a token that it has just issued, and an older one that
works must not be lost for it.

Strategy: the ways are tried in the order of `WAYS`. When Garmin blocks one, or refuses the token that it gave, the
next one takes over. A wrong password or code ends the sign-in, because every further attempt counts towards the lock.
The user's own browser comes last, because it works wherever a person can sign in at all. The browser window makes no
token, only the profile for the delivery `browser`, so it is used only when it is named.
"""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import click

from ..commands import command as typed
from ..commands import sign_in_again, to_upload
from ..compose import browser_session, only_files, token_library, token_session, token_store
from ..errors import (
    GarminRefused,
    GarminUnreachable,
    RateLimited,
    SettingsInvalid,
    SignInNeeded,
    TokenStoreUnusable,
    WeighbridgeError,
)
from ..garmin.connect import GarminConnect
from ..garmin.sessions.garth import exchange_ticket, sign_in, sign_in_page
from ..garmin.sessions.token_session import REFRESH_BEFORE_EXPIRY_S
from ..garmin.tokens import Candidate, Store, Token, TokenStore, parse_token
from ..private import make_private_folder
from ..secret import SecretStr
from ..settings import Settings
from . import options
from .surroundings import Surroundings, Terminal

#: Seconds to wait after the first, second … failure in a row; the last one stays.
COOL_DOWN_S = (60, 300, 1800, 6 * 3600, 24 * 3600)
RATE_LIMIT_COOL_DOWN_S = 3600

WINDOW_S = 900

ELSEWHERE = """\
This is a container. If Garmin blocks the sign-in here, sign in on another machine, one with a browser at home:
  1. there, with Weighbridge installed:   {login}
  2. here, in the folder of that file:
     docker compose run --rm -T function {login} --import - < {file}
     (or copy the file into the token folder, {folder}, so that the container's user can write it)
  3. there again: delete {file}, because one token must not be used in two places.
"""


# -- the ways ----------------------------------------------------------------------------------------------


def _by_password(settings: Settings, terminal: Terminal) -> Token:
    return _with_password(sign_in, "this takes some seconds", settings, terminal)


def _by_garminconnect(settings: Settings, terminal: Terminal) -> Token:
    from ..garmin.sessions.garminconnect import import_garminconnect, sign_in

    import_garminconnect()  # before the questions
    return _with_password(sign_in, "in up to five ways; this may take a minute", settings, terminal)


def _with_password(sign_in: Callable[..., Token], saying: str, settings: Settings, terminal: Terminal) -> Token:
    email = terminal.ask("Garmin e-mail: ").strip()
    password = SecretStr(terminal.ask_secret("Password (not shown): "))
    print(f"Signing in; {saying} …", flush=True)
    return sign_in(
        email,
        password,
        prompt_mfa=lambda: terminal.ask_secret("Code from your e-mail or app (not shown): "),
        domain=settings.garmin_domain,
        ca_bundle=settings.garmin_ca_bundle,
        token_name=settings.token_name,
    )


def _by_browser(settings: Settings, terminal: Terminal) -> Token:
    address = sign_in_page(settings.garmin_domain)
    opened = terminal.open_page(address)
    print(
        f"{'Opened in your browser' if opened else 'Open this page in a browser, on any machine'}:\n\n  {address}\n\n"
        "Sign in there. The next page is empty or shows an error. Copy its address, which ends in ticket=ST-…\n"
        "It works once, and only for some seconds: have this window ready, and paste at once.",
        flush=True,
    )
    pasted = terminal.ask_secret("The address, or the ticket alone (not shown): ")
    return exchange_ticket(
        pasted,
        domain=settings.garmin_domain,
        ca_bundle=settings.garmin_ca_bundle,
        token_name=settings.token_name,
    )


class Way(NamedTuple):
    """One way to sign in."""

    name: str
    explained: str
    sign_in: Callable[[Settings, Terminal], Token]
    #: Whether a failure counts towards Garmin's lock of the account.
    risks_lock: bool


WAYS = (
    Way("password", "e-mail, password and code, asked for here", _by_password, risks_lock=True),
    Way("garminconnect", "the same, with another library that tries five ways (Python 3.12 and newer)",
        _by_garminconnect, risks_lock=True),
    Way("browser", "your own browser; you paste its address here; works where scripts are blocked", _by_browser,
        risks_lock=False),
)  # fmt: skip

WINDOW = "window"


# -- the command -------------------------------------------------------------------------------------------


@click.command(
    "login",
    epilog="The ways to sign in, in the order in which they are tried: "
    + "; ".join(f"{way.name}: {way.explained}" for way in WAYS)
    + f". Only when named: {WINDOW}: a separate browser window, for the delivery `browser`; it makes no token.",
)
@options.name
@click.option("--way", type=click.Choice([*(way.name for way in WAYS), WINDOW]), help="Start with this way to sign in.")
@click.option(
    "--import",
    "import_file",
    metavar="FILE",
    type=click.Path(allow_dash=True),
    help="Take the token from garmin_tokens.json (garminconnect), oauth2_token.json (garth-ng) or a GARTH_TOKEN "
    "string; - reads standard input.",
)
@click.option("--import-env", is_flag=True, help="Take the token from the variable GARTH_TOKEN.")
@click.option(
    "--ignore-cool-down",
    is_flag=True,
    help="Try at once after a failure. The risk: repeated failures lock the account for one to three days.",
)
@click.option(
    "--wait-s", type=float, default=WINDOW_S, show_default=True, help="How long the window stays open, in seconds."
)
@click.pass_obj
def command(
    around: Surroundings,
    name: str,
    way: str | None,
    import_file: str | None,
    wait_s: float,
    *,
    import_env: bool,
    ignore_cool_down: bool,
) -> int:
    """Sign in to Garmin Connect once, and store the token. The password is never stored."""
    if sum((way is not None, import_file is not None, import_env)) > 1:
        raise click.UsageError("Pass only one of --way, --import and --import-env.")
    settings = options.settings_of(around.environment, name)
    if way == WINDOW:
        return _window(settings, wait_s)
    # The waiting time after a failure is stored on this machine, wherever the token is.
    here = TokenStore(settings.tokens, name)
    store = token_store(settings)
    imported = import_env or import_file is not None
    try:
        if imported:
            given = _imported(None if import_env else import_file, around.environment)
            _lifetime(given, around.now(), name)  # one that has ended needs no request
            token = _tried(given, settings, store, around.now())
        else:
            if around.terminal.in_container():
                print(_elsewhere(here, name))
            cool_down = CoolDown(here, around.now)
            token = _signed_in(
                settings,
                cool_down,
                around.terminal,
                lambda token: _tried(token, settings, store, around.now()),
                begin=way,
                ignore_cool_down=ignore_cool_down,
            )
    except EOFError:
        print("\nNothing was stored. The questions must be answered at a terminal.", file=sys.stderr)
        return 1
    lifetime = _lifetime(token, around.now(), name)
    store.save(token)
    print(f"Stored in {getattr(store, 'path', store.place)}. {lifetime}")
    if imported:
        print("From now on, use this token nowhere else: each renewal here makes the other copy worthless.")
    print(_next_command(settings, in_container=around.terminal.in_container()))
    return 0


def _next_command(settings: Settings, *, in_container: bool) -> str:
    if not only_files(settings):
        return f"To check every link with this account: {typed('doctor', settings.token_name)}"
    return f"Readings are still only kept as files. {to_upload(in_container=in_container)}"


def _window(settings: Settings, wait_s: float) -> int:
    session = browser_session(settings)
    print(
        "A browser window opens with Garmin Connect. Sign in there, tick 'remember me', and answer what Garmin "
        "asks (cookies, consent).\nThis command ends by itself when the page with your activities is open.",
        flush=True,
    )
    session.sign_in(wait_s)
    print(
        f"Signed in. The profile is in {settings.browser_profile}. Copy it to the machine that delivers, and set "
        "WEIGHBRIDGE_DELIVERY=browser,folder or garmin,browser,folder."
    )
    return 0


def _elsewhere(store: TokenStore, name: str) -> str:
    return ELSEWHERE.format(login=typed("login", name), file=f"tokens/{store.path.name}", folder=store.folder)


def _imported(source: str | None, environment: Mapping[str, str]) -> Token:
    """The token of a file, of standard input (-), or of the variable."""
    if source is None:
        text = environment.get("GARTH_TOKEN", "")
        if not text:
            raise SettingsInvalid("The variable GARTH_TOKEN is not set.")
        return parse_token(text)
    try:
        return parse_token(sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8"))
    except OSError as e:
        raise SettingsInvalid(f"{source} cannot be read: {e.strerror}.") from e
    except UnicodeDecodeError:
        raise SettingsInvalid(f"{source} is not a text file.") from None


class TokenRefused(GarminRefused):
    """Garmin has issued a token, and refuses it."""


def _tried(token: Token, settings: Settings, store: Store, now_s: float) -> Token:
    """This token, or what its renewal made of it, after one read of today's weigh-ins as the function does it.

    Raises `TokenRefused`, `GarminUnreachable` if it cannot be known, or `TokenStoreUnusable`.
    """
    if obstacle := store.obstacle():
        raise TokenStoreUnusable(obstacle)  # before a renewal, whose token would be lost
    is_due = token.expires_at - now_s < REFRESH_BEFORE_EXPIRY_S
    candidate = Candidate(token, settings.token_name, is_due=is_due)
    name = token_library(settings)
    session = token_session(name, settings, candidate)
    today = datetime.fromtimestamp(now_s, UTC).date()
    try:
        GarminConnect(session, name=name, confirm_s=0).entries(today, today)
    except (SignInNeeded, GarminRefused, GarminUnreachable, RateLimited) as fault:
        # Its advice is to sign in again, which has just been done.
        why = str(fault).removesuffix(session.sign_in_again).strip()
        if isinstance(fault, SignInNeeded) or (isinstance(fault, GarminRefused) and candidate.token == token):
            raise TokenRefused(f"Garmin refused the new token, so it was not stored. {why}") from None
        if candidate.token == token:
            raise GarminUnreachable(f"The new token could not be tried, so it was not stored. {why}") from None
        # The copy that was given is worthless now, so this one must not be lost.
        store.save(candidate.token)
        raise GarminUnreachable(
            f"The token was renewed and stored, but could not be tried. {why} To try it: "
            f"{typed('doctor', settings.token_name)}"
        ) from None
    return candidate.token


def _signed_in(
    settings: Settings,
    cool_down: CoolDown,
    terminal: Terminal,
    tried: Callable[[Token], Token],
    *,
    begin: str | None,
    ignore_cool_down: bool,
) -> Token:
    names = [way.name for way in WAYS]
    ways = WAYS[names.index(begin) if begin else 0 :]
    if ways[0].risks_lock and not ignore_cool_down:
        cool_down.check()
    # Before the questions: a folder that is not writable would waste a sign-in.
    cool_down.probe()
    for way, next_way in zip(ways, (*ways[1:], None), strict=True):
        try:
            token = way.sign_in(settings, terminal)
        except GarminUnreachable:
            raise  # not about the account, and the same for each way
        except SettingsInvalid as fault:  # its library is missing
            if next_way is None or way.name == begin:
                raise
            _go_on(fault, next_way)
        except WeighbridgeError as fault:
            if way.risks_lock:
                cool_down.begin(fault)
            if next_way is None or not isinstance(fault, GarminRefused | RateLimited):
                raise
            _go_on(fault, next_way)
        else:
            cool_down.end()
            try:
                return tried(token)
            except TokenRefused as fault:
                if next_way is None:
                    raise
                _go_on(fault, next_way)
    raise AssertionError("the last way either signs in or raises")


def _go_on(fault: WeighbridgeError, next_way: Way) -> None:
    print(f"{fault}\n\nThe next way, {next_way.name}: {next_way.explained}.\n", file=sys.stderr, flush=True)


class CoolDown:
    """When the next attempt is allowed, in a file next to the token."""

    def __init__(self, store: TokenStore, now: Callable[[], float]) -> None:
        self._path = store.path.with_suffix(".cool-down")
        self._name = store.name
        self._now = now

    def check(self) -> None:
        """Raises `RateLimited` until the next attempt is allowed."""
        _, until = self._read()
        left_s = math.ceil(until - self._now())
        if left_s > 0:
            raise RateLimited(
                f"The last sign-in failed. Wait {_duration(left_s)} before the next one: repeated failures lock the "
                "account for one to three days. You can use your own browser at once: "
                f"{typed('login --way browser', self._name)}. "
                "(--ignore-cool-down tries the password at once, at that risk.)",
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
            make_private_folder(self._path.parent)
            self._path.write_text(json.dumps({"failures": failures, "until": until}), encoding="utf-8")
        except OSError as e:
            raise TokenStoreUnusable(
                f"The token folder {self._path.parent} cannot be written: {e.strerror}. Fix that, or name another "
                "folder with WEIGHBRIDGE_TOKENS. Garmin was not asked."
            ) from e


def _lifetime(token: Token, now_s: float, token_name: str) -> str:
    """How long the sign-in lasts, as a sentence. Raises `SignInNeeded` if it has ended."""
    if token.refresh_expires_at is None:
        return "Garmin did not say when the sign-in ends; usually after 30 days without use."
    days = (token.refresh_expires_at - now_s) / 86_400
    if days <= 0:
        raise SignInNeeded(f"This token has already ended. {sign_in_again(token_name)}")
    return f"The sign-in ends in {days:.0f} days. Each renewal of the token extends it."


def _duration(seconds: int) -> str:
    if seconds < 120:
        return "1 second" if seconds == 1 else f"{seconds} seconds"
    return f"{math.ceil(seconds / 60)} minutes" if seconds < 7200 else f"{math.ceil(seconds / 3600)} hours"
