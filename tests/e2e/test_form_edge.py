"""The page beyond Cloudflare: a browser, TLS, and what a tunnel with Access adds to each request.

Weakness: the stand-in for Cloudflare's edge adds what Access adds, but does not ask anybody to sign in.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from playwright.sync_api import Browser, expect

from tests.e2e.parts.access import AccessStandIn
from tests.e2e.parts.form import form, function
from tests.e2e.test_form_access import settings_for
from tests.e2e.test_form_page import PHONE, chromium, click, expect_arrived, settle, type_in
from tests.e2e.test_form_prefix import LOCATION, port_of, running
from tests.e2e.test_proxy import nginx
from tests.garmin.server import GarminStandIn
from tests.ports import free_port

__all__ = ["chromium"]  # a fixture of the page

#: A public name that a browser finds on this machine.
HOST = "weigh.localhost"


@pytest.fixture
def team() -> Iterator[AccessStandIn]:
    with AccessStandIn() as team:
        yield team


def test_morning_beyond_the_tunnel(
    team: AccessStandIn, garmin: GarminStandIn, tmp_path: Path, chromium: Browser
) -> None:
    """A phone that Access has let in opens the page by its public name over TLS. The page asks for no password of its
    own, signs in to Garmin with the code of the second factor, and a weigh-in arrives."""
    expect.set_options(timeout=20_000)
    certificate, port = tmp_path / "edge.pem", free_port()
    trustme.CA().issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(certificate)
    added = {"X-Forwarded-Proto": "https", "Cf-Connecting-Ip": "203.0.113.7", "Cf-Access-Jwt-Assertion": team.token()}
    location = LOCATION.replace("proxy_set_header X-Forwarded-Proto $scheme;", "")
    location += "".join(f'proxy_set_header {name} "{value}";' for name, value in added.items())
    garmin.account.mfa_code = "734512"
    settings = settings_for(team.domain, team.ca_bundle) | {"WEIGHBRIDGE_FORM_HOSTS": HOST}
    with (
        function(garmin, tmp_path, WEIGHBRIDGE_TOKENS=tmp_path / "nobody") as address,
        form(tmp_path, address, "--server.address=0.0.0.0", **settings) as served,
        running(nginx(tmp_path, port, port_of(served), location, certificate=certificate), port, tmp_path),
        chromium.new_context(viewport=PHONE, ignore_https_errors=True) as context,
    ):
        page = context.new_page()
        page.goto(f"https://{HOST}:{port}/")
        page.get_by_label("Garmin e-mail").fill(garmin.account.email)
        page.get_by_label("Garmin password").fill(garmin.account.password)
        click(page, "Sign in to Garmin")
        page.get_by_label("Code", exact=True).fill(garmin.account.mfa_code)
        click(page, "Continue")
        expect(page.get_by_test_id("stToast")).to_contain_text("Signed in to Garmin as runner")
        settle(page)
        type_in(page, {"Weight (kg)": "81.4"})
        click(page, "Send to Garmin")
        expect_arrived(page)
        assert [entry.raw["weight"] for entry in garmin.weights.visible()] == [8140]
