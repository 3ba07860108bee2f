"""weighbridge login: sign in to Garmin Connect once, at a terminal, and store the token for the function.

Rule: the password is asked for, never taken from an argument or a variable, and never stored. Nothing printed holds a
secret. What a sign-in is, and when the next one has to wait: `weighbridge.login`, which the page uses too.

Strategy: the ways are tried in the order of `WAYS`. E-mail and password are asked for once. The user's own browser
comes last, because it works wherever a person can sign in at all. The browser window makes no token, only the profile
for the delivery `browser`, so it is used only when it is named.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import click

from ..commands import command as typed
from ..commands import to_upload
from ..compose import browser_session, only_files, token_store
from ..errors import (
    CodeRejected,
    CoolDown,
    GarminRefused,
    RateLimited,
    SettingsInvalid,
    WeighbridgeError,
)
from ..garmin.tokens import Token, TokenStore, parse_token
from ..login import LIBRARIES, CodeNeeded, Login, SignedIn
from ..secret import SecretStr
from ..settings import Settings
from . import options
from .surroundings import Surroundings, Terminal

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


class Way(NamedTuple):
    """One way to sign in."""

    name: str
    explained: str
    #: The library that takes the password; None if no password is asked for.
    library: str | None
    #: How long it takes.
    takes: str = ""


WAYS = (
    Way("password", "e-mail, password and code, asked for here", "garth", "this takes some seconds"),
    Way("garminconnect", "the same, with another library that tries five ways (Python 3.12 and newer)",
        "garminconnect", "in up to five ways; this may take a minute"),
    Way("browser", "your own browser; you paste its address here; works where scripts are blocked", None),
)  # fmt: skip
BROWSER = WAYS[-1]

WINDOW = "window"


def _signed_in(login: Login, terminal: Terminal, name: str, *, begin: str | None, ignore_cool_down: bool) -> SignedIn:
    ways = WAYS[[way.name for way in WAYS].index(begin) if begin else 0 :]
    by_library = {way.library: way for way in ways if way.library}
    if not by_library:
        return _by_browser(login, terminal)

    def going_on(fault: WeighbridgeError, library: str) -> None:
        _go_on(fault, by_library[library])
        print(f"Signing in; {by_library[library].takes} …", flush=True)

    try:
        # Before the questions.
        login.check(ignore_cool_down=ignore_cool_down)
        if begin in LIBRARIES:
            LIBRARIES[begin].check()
        email = terminal.ask("Garmin e-mail: ").strip()
        password = SecretStr(terminal.ask_secret("Password (not shown): "))
        print(f"Signing in; {ways[0].takes} …", flush=True)
        found = login.with_password(
            email, password, libraries=list(by_library), ignore_cool_down=ignore_cool_down, going_on=going_on
        )
        return _with_code(login, terminal, found) if isinstance(found, CodeNeeded) else found
    except CoolDown as fault:
        raise CoolDown(
            f"{fault} {typed('login --way browser', name)}. (--ignore-cool-down tries the password at once, at that "
            "risk.)",
            fault.retry_after_s,
        ) from None
    except (GarminRefused, RateLimited) as fault:
        _go_on(fault, BROWSER)
    return _by_browser(login, terminal)


def _with_code(login: Login, terminal: Terminal, needed: CodeNeeded) -> SignedIn:
    while True:
        code = terminal.ask_secret("Code from your e-mail or app (not shown): ")
        try:
            return login.with_code(needed.state, code)
        except CodeRejected as fault:
            print(fault, file=sys.stderr, flush=True)


def _by_browser(login: Login, terminal: Terminal) -> SignedIn:
    opened = terminal.open_page(login.browser_page)
    print(
        f"{'Opened in your browser' if opened else 'Open this page in a browser, on any machine'}:\n\n"
        f"  {login.browser_page}\n\n"
        "Sign in there. The next page is empty or shows an error. Copy its address, which ends in ticket=ST-…\n"
        "It works once, and only for some seconds: have this window ready, and paste at once.",
        flush=True,
    )
    return login.with_ticket(SecretStr(terminal.ask_secret("The address, or the ticket alone (not shown): ")))


def _go_on(fault: WeighbridgeError, next_way: Way) -> None:
    print(f"{fault}\n\nThe next way, {next_way.name}: {next_way.explained}.\n", file=sys.stderr, flush=True)


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
    login = Login(settings, around.now)
    imported = import_env or import_file is not None
    try:
        if imported:
            found = login.with_token(_imported(None if import_env else import_file, around.environment))
        else:
            if around.terminal.in_container():
                print(_elsewhere(TokenStore(settings.tokens, name), name))
            found = _signed_in(login, around.terminal, name, begin=way, ignore_cool_down=ignore_cool_down)
    except EOFError:
        print("\nNothing was stored. The questions must be answered at a terminal.", file=sys.stderr)
        return 1
    store = token_store(settings)
    who = f"Signed in as {found.name}. " if found.name else ""
    print(f"{who}Stored in {getattr(store, 'path', store.place)}. {login.lifetime(found.token)}")
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
