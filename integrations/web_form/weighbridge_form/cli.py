"""weighbridge form: Streamlit with our options. More of them may follow on the command line, and count.

weighbridge form --server.port 8600
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from streamlit.web import cli as streamlit

from weighbridge.operate.surroundings import Surroundings

from .settings import read_people

#: Streamlit's own red does not stand out enough from white for all eyes (WCAG asks 4.5 : 1), so it has our colours.
OPTIONS = {
    "server.headless": "true",  # opens no browser by itself, and asks for no e-mail address
    "server.address": "127.0.0.1",
    "server.fileWatcherType": "none",
    "server.maxUploadSize": "200",  # MB: Apple Health keeps more than weights
    "browser.gatherUsageStats": "false",
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",  # a traceback is for the log, not for whoever looks at the page
    "theme.primaryColor": "#0b6e4f",
    "theme.redColor": "#b3261e",
    "theme.grayColor": "#595f69",
}


@click.command("form", context_settings={"ignore_unknown_options": True})
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[STREAMLIT OPTIONS]...")
@click.pass_obj
def command(around: Surroundings, options: Sequence[str]) -> None:
    """Serve a page to type, look at and correct weigh-ins: http://127.0.0.1:8501.

    It asks the function at WEIGHBRIDGE_URL. Options of Streamlit follow as they are, such as --server.port 8600.
    """
    read_people(around.environment)  # what is wrong with them is said here, before a page is served
    app = Path(__file__).with_name("app.py")
    ours = [f"--{name}={value}" for name, value in OPTIONS.items()]
    streamlit.main(["run", str(app), *ours, *options], prog_name="streamlit")
