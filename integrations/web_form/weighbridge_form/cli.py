"""weighbridge form: serves the page, with Streamlit's options as we need them. Those on the command line come first.

weighbridge form --server.port 8600

Facts (Streamlit 1.67): `streamlit run` looks five times a second at each place where a file with its options could be,
and nothing stops that. So the page is an ASGI application here, on a server that sleeps while nobody looks.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click
import streamlit as st
import uvicorn
from streamlit import config

from weighbridge.errors import SettingsInvalid
from weighbridge.idle_server import IdleServer
from weighbridge.operate.serve import check_port
from weighbridge.operate.surroundings import Surroundings

from .door import Door
from .frontend import Frontend
from .home_screen import routes
from .looks import THEME
from .settings import FormSettings, names_of, read_settings

if TYPE_CHECKING:
    from .access import Access

OPTIONS = {
    "server.headless": "true",  # does not open a browser, does not ask for an e-mail address
    "server.address": "127.0.0.1",
    "server.fileWatcherType": "none",
    "server.maxUploadSize": "200",  # MB; an Apple Health export contains much more than weights
    "browser.gatherUsageStats": "false",
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",  # tracebacks go to the log, not to the page
    "global.disableWidgetStateDuplicationWarning": "true",  # of a value and its default, which are the same here
    **THEME,
}


@click.command("form", context_settings={"ignore_unknown_options": True})
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[STREAMLIT OPTIONS]...")
@click.pass_obj
def command(around: Surroundings, options: Sequence[str]) -> None:
    """Serve a page to type, look at and correct weigh-ins: http://127.0.0.1:8501.

    It asks the function at WEIGHBRIDGE_URL, with WEIGHBRIDGE_KEY or the key of this machine. Beyond this machine, it
    needs WEIGHBRIDGE_FORM_PASSWORD (or another sign-in) and WEIGHBRIDGE_FORM_HOSTS. You can add options of Streamlit,
    such as --server.port 8600.
    """
    settings = read_settings(around.environment)  # fails here, before a page is served
    set_options(OPTIONS | dict(named(options)), around.environment)
    host, port = str(st.get_option("server.address")), int(st.get_option("server.port"))
    hosts = names_of(settings, host)
    check_port(host, port)
    door = Door(
        Frontend(st.App(Path(__file__).with_name("app.py"), routes=routes())),
        hosts=hosts,
        password=settings.password,
        access=access_of(settings),
        behind_proxy=settings.behind_proxy,
        ingress=settings.ingress,
        port=port,
    )
    server = IdleServer(
        uvicorn.Config(
            door,
            host=host,
            port=port,
            ssl_certfile=st.get_option("server.sslCertFile"),
            ssl_keyfile=st.get_option("server.sslKeyFile"),
            ws_max_size=int(st.get_option("server.maxMessageSize")) << 20,
            proxy_headers=False,  # anyone could claim to have another address at each wrong password
            date_header=False,
            access_log=False,
            log_level="warning",
        )
    )
    _load()
    click.echo(f"The page: http{'s' if server.config.is_ssl else ''}://{host}:{port}", err=True)
    server.run()


def _load() -> None:
    """Load what the page needs before the first person opens it, and let no collection of garbage look at it again."""
    import_module("weighbridge_form.page")
    gc.collect()
    gc.freeze()


def access_of(settings: FormSettings) -> Access | None:
    if not settings.access_team:
        return None
    # Loaded only here: without Access, its libraries would only take memory.
    from .access import Access

    return Access(settings.access_team, settings.access_audience)


def named(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The options in `--server.port 8600` or `--server.port=8600`. Raises `SettingsInvalid`."""
    rest = iter(words)
    for word in rest:
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--"):
            raise SettingsInvalid(f"Expected an option such as --server.port 8600, got {word!r}.")
        if not equals:
            value = next(rest, "")
        if not value:
            raise SettingsInvalid(f"--{name} has no value. Add it: --{name}=VALUE.")
        yield name, value


def set_options(options: Mapping[str, str], environment: Mapping[str, str]) -> None:
    """Set Streamlit's options: these, and those of the environment. Raises `SettingsInvalid` for an unknown one."""
    known = config.get_config_options()
    if unknown := next((name for name in options if name not in known), None):
        raise SettingsInvalid(f"Streamlit has no option --{unknown}. For its options: streamlit run --help.")
    from_environment = {
        name: environment[option.env_var] for name, option in known.items() if option.env_var in environment
    }
    for name, text in {**from_environment, **options}.items():
        config.set_option(name, _typed(name, text, known[name].type))


def _typed(name: str, text: str, kind: type) -> object:
    try:
        return {"true": True, "false": False}[text.lower()] if kind is bool else kind(text)
    except (KeyError, ValueError):
        expected = "true or false" if kind is bool else "a number"
        raise SettingsInvalid(f"--{name} must be {expected}.") from None
