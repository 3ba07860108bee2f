"""Serve the form: Streamlit with our options. More of them may follow on the command line, and count.

python -m integrations.web_form --server.port 8600
"""

from __future__ import annotations

import sys
from pathlib import Path

from streamlit.web import cli

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


def arguments(more: list[str]) -> list[str]:
    options = [f"--{name}={value}" for name, value in OPTIONS.items()]
    return ["streamlit", "run", str(Path(__file__).with_name("app.py")), *options, *more]


if __name__ == "__main__":
    sys.argv = arguments(sys.argv[1:])
    cli.main()
