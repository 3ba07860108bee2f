"""weighbridge form: starts Streamlit with our options. Streamlit options on the command line override them.

weighbridge form --server.port 8600
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from streamlit.web import cli as streamlit

from weighbridge.operate.surroundings import Surroundings

from .settings import read_people

#: Streamlit's own red has too little contrast with white (WCAG asks for 4.5 : 1), so we set the colors.
OPTIONS = {
    "server.headless": "true",  # does not open a browser, does not ask for an e-mail address
    "server.address": "127.0.0.1",
    "server.fileWatcherType": "none",
    "server.maxUploadSize": "200",  # MB; an Apple Health export contains much more than weights
    "browser.gatherUsageStats": "false",
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",  # tracebacks go to the log, not to the page
    "theme.primaryColor": "#0b6e4f",
    "theme.redColor": "#b3261e",
    "theme.grayColor": "#595f69",
}


@click.command("form", context_settings={"ignore_unknown_options": True})
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[STREAMLIT OPTIONS]...")
@click.pass_obj
def command(around: Surroundings, options: Sequence[str]) -> None:
    """Serve a page to type, look at and correct weigh-ins: http://127.0.0.1:8501.

    It asks the function at WEIGHBRIDGE_URL. You can add options of Streamlit, such as --server.port 8600.
    """
    read_people(around.environment)  # fails here, before a page is served
    app = Path(__file__).with_name("app.py")
    ours = [f"--{name}={value}" for name, value in OPTIONS.items()]
    streamlit.main(["run", str(app), *ours, *options], prog_name="streamlit")
