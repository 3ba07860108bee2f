"""The page on a home screen: its icon, its web manifest, and the head of its document.

Facts (Streamlit 1.67): its document has Streamlit's title and icon, and no manifest; nothing sets them. `st.App` takes
routes that come before its own. Its script asks under the address at which the browser opened it. So with relative
addresses, the page also holds behind a prefix that a proxy removes, whichever it is.

Rule: these files say nothing about anyone, so door.py serves them without a session: phones ask for icons without one.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from .frontend import document
from .looks import COLORS, FILES

#: The name in the address -> the type.
SERVED = {
    "manifest.webmanifest": "application/manifest+json",
    "icon.svg": "image/svg+xml",
    "icon-180.png": "image/png",
    "icon-192.png": "image/png",
    "icon-512.png": "image/png",
}
PUBLIC = frozenset(f"/{name}" for name in SERVED)

_LIGHT, _DARK = COLORS["backgroundColor"]
# `use-credentials`: without it, a proxy that asks for a sign-in would refuse the manifest.
HEAD = f"""\
<link rel="icon" href="./icon.svg" type="image/svg+xml">
<link rel="apple-touch-icon" href="./icon-180.png">
<link rel="manifest" href="./manifest.webmanifest" crossorigin="use-credentials">
<meta name="apple-mobile-web-app-title" content="Weighbridge">
<meta name="color-scheme" content="light dark">
<meta name="theme-color" media="(prefers-color-scheme: light)" content="{_LIGHT}">
<meta name="theme-color" media="(prefers-color-scheme: dark)" content="{_DARK}">
"""
#: What is in Streamlit's document -> what takes its place.
_REPLACED = {
    "<title>Streamlit</title>": "<title>Weighbridge</title>",
    '<link rel="shortcut icon" href="./favicon.png" />': "",
    # Without the slash, relative addresses would lead to the parent.
    "<head>": '<head><script>location.pathname.endsWith("/") || location.replace(`${location.pathname}/`)</script>',
    "</head>": f"{HEAD}</head>",
}


def routes() -> list[BaseRoute]:
    page = document()
    for old, new in _REPLACED.items():
        page = page.replace(old, new)

    async def index(_: Request) -> Response:
        return HTMLResponse(page, headers={"Cache-Control": "no-cache"})

    async def file(request: Request) -> Response:
        return served(request.url.path)

    return [Route("/", index), *(Route(path, file) for path in PUBLIC)]


def served(path: str) -> Response:
    """One of the public files."""
    name = path.rpartition("/")[2]
    return FileResponse(FILES / name, media_type=SERVED[name], headers={"Cache-Control": "max-age=86400"})
