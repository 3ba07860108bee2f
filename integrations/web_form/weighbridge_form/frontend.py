"""Streamlit's own files, sent in one piece, and asked for before they are needed.

Facts (Streamlit 1.67): a browser fetches 60 files before it can draw anything, and 40 more once it knows what to draw.
Streamlit's server hands each look at the disk and each 64 KiB to a thread, which took it 0.3 s of CPU for one opening.

Strategy: a file is read and sent in one piece; the operating system has it in memory. The document names what the page
draws first, with all that this imports, so a browser has it in time. Each name contains a hash of its file, so browsers
keep the file.

Weakness: `DRAWN` repeats what the page draws, in Streamlit's names. What is missing there comes late, nothing more.
"""

from __future__ import annotations

import re
from pathlib import Path

import streamlit as st
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

ROOT = Path(st.__file__).parent / "static"
#: The parts of Streamlit's page that are drawn first.
DRAWN = (
    *("BidiComponent", "Button", "ButtonGroup", "DownloadButton", "FileUploader", "Html", "LinkButton", "TextInput"),
    *("Toast",),
)
_TYPES = {".css": "text/css", ".js": "text/javascript", ".woff2": "font/woff2"}
_KEPT = {"Cache-Control": "public, immutable, max-age=31536000"}
_IMPORT = re.compile(r'(?:from|import)\s*"\./(?P<name>[^"/]+\.js)"')


def document() -> str:
    """Streamlit's index.html, which also names what the page is going to draw."""
    text = (ROOT / "index.html").read_text(encoding="utf-8")
    named = [
        f'<link rel="modulepreload" crossorigin href="./static/js/{name}">' for name in _drawn() if name not in text
    ]
    return text.replace("</head>", "\n".join([*named, "</head>"]))


class Frontend:
    """The ASGI application that sends the files whose names contain a hash. It leaves everything else to `app`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._files = {f"/{path.relative_to(ROOT)}": path for path in ROOT.glob("static/*/*") if path.suffix in _TYPES}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "GET" and (path := self._files.get(scope["path"])):
            answer = Response(path.read_bytes(), media_type=_TYPES[path.suffix], headers=_KEPT)
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _drawn() -> list[str]:
    """The names of the files in `DRAWN`, and of all that these import."""
    folder = ROOT / "static" / "js"
    found = dict.fromkeys(path.name for part in DRAWN for path in sorted(folder.glob(f"{part}.*.js")))
    waiting = list(found)
    while waiting:
        text = (folder / waiting.pop()).read_text(encoding="utf-8")
        new = [name for name in _IMPORT.findall(text) if name not in found]
        found |= dict.fromkeys(new)
        waiting += new
    return list(found)
