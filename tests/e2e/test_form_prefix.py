"""The page behind a prefix that a proxy removes: nginx, and Home Assistant's ingress, with a Chromium before them."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect

from tests.e2e.parts import histories, is_listening, wait_until
from tests.e2e.parts.form import Form, form, function
from tests.e2e.test_form_door import PASSWORD
from tests.e2e.test_form_page import PHONE, button, chromium, click, expect_arrived, settle, type_in
from tests.e2e.test_proxy import nginx
from tests.function_client import ROOT
from tests.garmin.server import GarminStandIn
from tests.ports import free_port

__all__ = ["chromium"]  # a fixture of the page

#: As in docs/docker.md.
LOCATION = """
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            client_max_body_size 200m;
"""


class Way(NamedTuple):
    """How a browser comes to the page."""

    address: str
    #: Of the page as the browser sees it.
    path: str
    is_ingress: bool


@contextmanager
def running(words: list[str], port: int, folder: Path) -> Iterator[None]:
    with (folder / "proxy.log").open("wb") as log:
        proxy = subprocess.Popen(words, cwd=ROOT, stdout=log, stderr=log)
    try:
        wait_until("the proxy listens", lambda: proxy.poll() is not None or is_listening(port))
        assert proxy.poll() is None, (folder / "proxy.log").read_text()
        yield
    finally:
        proxy.terminate()
        proxy.wait(timeout=30)


@contextmanager
def behind_nginx(folder: Path, people: str) -> Iterator[Way]:
    """With a password, as the page asks for one itself."""
    port = free_port()
    with form(folder, people, WEIGHBRIDGE_FORM_PASSWORD=PASSWORD) as served:
        words = nginx(folder, port, port_of(served), LOCATION, prefix="/weigh/")
        with running(words, port, folder):
            yield Way(f"http://127.0.0.1:{port}/weigh/", "/weigh/", is_ingress=False)


@contextmanager
def behind_ingress(folder: Path, people: str) -> Iterator[Way]:
    """Without a password, under a name that the page does not know."""
    port, token = free_port(), secrets.token_urlsafe(32)
    with form(folder, people, WEIGHBRIDGE_FORM_INGRESS="127.0.0.1") as served:
        words = [sys.executable, "-m", "tests.e2e.parts.ingress", str(port), token, served.address]
        with running(words, port, folder):
            yield Way(f"http://home.localhost:{port}/", f"/api/hassio_ingress/{token}/", is_ingress=True)


Behind = Callable[[Path, str], AbstractContextManager[Way]]


def port_of(served: Form) -> int:
    return int(served.address.rpartition(":")[2])


def opened(page: Page, way: Way) -> Any:
    """The page, or the frame in which it is: a `Frame` finds its elements as a `Page` does."""
    if not way.is_ingress:
        return page
    frame = page.frame("app")
    assert frame
    return frame


@pytest.mark.parametrize("behind", [behind_nginx, behind_ingress])
def test_everything_works_behind_a_prefix(
    garmin: GarminStandIn, tmp_path: Path, chromium: Browser, behind: Behind
) -> None:
    """Behind a prefix, a weigh-in arrives, its file downloads, a history is read, and the page comes again after a
    reload. Nothing is asked for, and no cookie set, beyond the prefix."""
    expect.set_options(timeout=20_000)
    with ExitStack() as stack:
        way = stack.enter_context(behind(tmp_path, stack.enter_context(function(garmin, tmp_path))))
        context = chromium.new_context(viewport=PHONE, timezone_id="Europe/Berlin", accept_downloads=True)
        stack.callback(context.close)
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("websocket", lambda socket: asked.append(socket.url))
        page.goto(way.address)
        if not way.is_ingress:
            page.get_by_label("Password").fill(PASSWORD)
            button(page, "Sign in").click()
        it = opened(page, way)
        expect(it.get_by_label("Weight (kg)", exact=True)).to_be_visible()

        it.get_by_label("Height (cm)", exact=True).fill("180")
        type_in(it, {"Weight (kg)": "81.4"})
        with page.expect_download() as download:
            click(it, "Download the FIT file")
        assert Path(download.value.path()).read_bytes()[8:12] == b".FIT"
        click(it, "Send to Garmin")
        expect_arrived(it)
        assert [entry.raw["weight"] for entry in garmin.weights.visible()] == [8140]

        settle(it)
        history = FilePayload(name="export.csv", mimeType="text/csv", buffer=histories.fitdays("unknown"))
        it.locator('input[type="file"]').first.set_input_files(history)
        expect(it.get_by_text("weigh-ins can be sent.")).to_be_visible()

        page.reload()
        it = opened(page, way)
        expect(it.get_by_label("Height (cm)", exact=True)).to_have_value("180")
        settle(it)
        expect(it.get_by_text("· 81.4 kg")).to_be_visible()
        beyond = {url for url in asked if not url.startswith("blob:") and way.path not in url} - {way.address}
        assert beyond == set()
        for cookie in context.cookies():
            if cookie["name"].startswith("weighbridge_form"):
                assert cookie["path"].rstrip("/") == way.path.rstrip("/"), cookie["name"]
