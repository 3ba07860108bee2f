"""`make sbom` and `make audit` with their real tools; the audit asks a stand-in for the OSV database."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from scripts.audit import LISTS, PIP_AUDIT, VULNERABLE, audit
from scripts.licenses import FOR_USERS, locked
from scripts.sbom import IMAGES, main, unused
from tests.e2e.parts import unavailable
from tests.ports import free_port
from weighbridge import __version__

ROOT = Path(__file__).parents[2]
Pin = tuple[str, str]


@pytest.fixture(scope="module", autouse=True)
def _tools() -> None:
    if not PIP_AUDIT.exists():
        unavailable("no tools of the audit: make .venv-supply/installed")


class Osv(ThreadingHTTPServer):
    """The query of OSV's API for one version: 400 unless it is well-formed, and 503 after `breaks_after` answers."""

    def __init__(self, vulnerable: dict[Pin, str], breaks_after: int | None) -> None:
        self.vulnerable, self.breaks_after, self.asked = vulnerable, breaks_after, list[Pin]()
        super().__init__(("127.0.0.1", 0), Query)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/query"


class Query(BaseHTTPRequestHandler):
    server: Osv

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/v1/query" or set(asked) != {"package", "version"} or asked["package"]["ecosystem"] != "PyPI":
            self.reply(400, {"code": 3, "message": "Invalid query."})
        elif self.server.breaks_after is not None and len(self.server.asked) >= self.server.breaks_after:
            self.reply(503, {"code": 14, "message": "unavailable"})
        else:
            pin = (asked["package"]["name"], asked["version"])
            self.server.asked.append(pin)
            self.reply(
                200, {"vulns": [advisory(pin, self.server.vulnerable[pin])]} if pin in self.server.vulnerable else {}
            )

    def reply(self, status: int, answer: dict[str, Any]) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name of the base class
        """Nothing."""


def advisory(pin: Pin, identifier: str) -> dict[str, Any]:
    """An entry in OSV's schema 1.6."""
    return {
        "id": identifier, "summary": "A flaw", "details": "A flaw.", "aliases": [],
        "published": "2019-04-07T00:00:00Z", "modified": "2019-04-07T00:00:00Z", "schema_version": "1.6.0",
        "affected": [{"package": {"name": pin[0], "ecosystem": "PyPI"}, "versions": [pin[1]]}],
    }  # fmt: skip


@contextmanager
def osv(vulnerable: dict[Pin, str], *, breaks_after: int | None = None) -> Iterator[Osv]:
    with Osv(vulnerable, breaks_after) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


KNOWN = {VULNERABLE: "PYSEC-2019-217"}
PINS = {(pin.name, next(iter(pin.specifier)).version) for pins in locked(*LISTS).values() for pin in pins}
each_mode = pytest.mark.parametrize("mode", ["required", "if-possible"])


def test_database_that_finds_nothing() -> None:
    """Nothing is found, and that is said only after each locked version was asked about, and a vulnerable one found."""
    with osv(KNOWN) as database:
        assert audit({"OSV_URL": database.url}) == f"{len(PINS)} locked versions, and no known vulnerability."
    assert set(database.asked) == PINS | {VULNERABLE}


@each_mode
def test_vulnerable_package(mode: str) -> None:
    """A vulnerability of a package, also of one for another system, is a failure that names both."""
    ((name, version),) = [pin for pin in PINS if pin[0] == "sspilib"]
    with osv(KNOWN | {(name, version): "PYSEC-2026-1"}) as database, pytest.raises(SystemExit) as end:
        audit({"OSV_URL": database.url, "AUDIT": mode})
    assert end.value.code == f"{name}=={version}: PYSEC-2026-1"


@each_mode
def test_look_up_breaks_off(mode: str) -> None:
    """A database that fails on the way is a failure, whether or not the audit could have been skipped."""
    with osv(KNOWN, breaks_after=9) as database, pytest.raises(SystemExit) as end:
        audit({"OSV_URL": database.url, "AUDIT": mode})
    assert str(end.value.code).startswith("The look-up broke off: ")


@pytest.mark.parametrize("there", [False, True], ids=["nobody answers", "it knows no vulnerability"])
def test_no_database(there: bool) -> None:
    """Without a database, or with one that knows nothing, the audit fails; it is skipped only if that is allowed."""
    with osv({}) as database:
        address = database.url if there else f"http://127.0.0.1:{free_port()}/v1/query"
        with pytest.raises(SystemExit) as end:
            audit({"OSV_URL": address})
        said = audit({"OSV_URL": address, "AUDIT": "if-possible"})
    assert str(end.value.code).startswith("Vulnerabilities could not be looked up: ")
    assert said.startswith("make audit is skipped: there is no database of vulnerabilities here: ")
    assert ("knows nothing about jinja2==2.4.1" in said) is there


@pytest.fixture(scope="module")
def bills(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What `make sbom` writes: name -> bill."""
    folder = tmp_path_factory.mktemp("checkout") / "dist"
    main(folder)
    end = f"-{__version__}.cdx.json"
    return {path.name.removesuffix(end): json.loads(path.read_text(encoding="utf-8")) for path in folder.iterdir()}


def test_bill_of_materials(bills: dict[str, dict[str, Any]]) -> None:
    """The wheel's bill of materials is valid and holds exactly the packages of the lock files, with their hashes."""
    check(bills["weighbridge"], "weighbridge")
    pins = [pin for pins in locked(*FOR_USERS).values() for pin in pins]
    assert versions(bills["weighbridge"]) == {(pin.name, next(iter(pin.specifier)).version) for pin in pins}


@pytest.mark.parametrize("name", IMAGES)
def test_bill_of_an_image(bills: dict[str, dict[str, Any]], name: str) -> None:
    """The bill of an image holds what its lock files pin for its Python, without what its build removes."""
    bill, image = bills[f"image-{name}"], IMAGES[name]
    check(bill, name)
    names = [package for package, _ in versions(bill)]
    assert len(names) == len(set(names)), "one version of each"
    elsewhere = {"sspilib"}  # for Windows
    assert set(names) == set().union(*(set(locked(*part.locks)) - unused(part) for part in image)) - elsewhere
    assert ("numpy", "2.4.6") not in versions(bill), "for Python 3.11"


def test_what_an_image_leaves_out() -> None:
    """Each package that an image leaves out is in its lock files, and the build reads the same list."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    for part in {part for image in IMAGES.values() for part in image}:
        assert unused(part) - set(locked(*part.locks)) == set()
        assert f"/finish.sh /{part.unused}\n" in dockerfile


def check(bill: dict[str, Any], name: str) -> None:
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    about = bill["metadata"]["component"]
    assert (about["name"], about["version"], about["type"]) == (name, __version__, "application")
    for part in bill["components"]:
        assert part["purl"].startswith(f"pkg:pypi/{part['name']}@")
        assert any("hashes" in reference for reference in part["externalReferences"]), part["name"]


def versions(bill: dict[str, Any]) -> set[Pin]:
    return {(part["name"], part["version"]) for part in bill["components"]}
