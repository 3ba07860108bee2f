"""`make base-images` asks a real registry, as Docker Hub does with a token for anyone."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
import trustme
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from scripts.base_images import FILES, IMAGE, INDEXES, MANIFESTS, place_of, renew
from tests.e2e.parts import find_program, wait_until
from tests.e2e.parts.docker import ROOT
from tests.ports import free_port

CONFIG = """
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}/images}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""
AUTHORIZED = """
auth: {{token: {{realm: "{realm}", service: registry.test, issuer: issuer.test, rootcertbundle: {folder}/ca.pem}}}}
"""


class Issuer(ThreadingHTTPServer):
    """Gives anyone a token that lets them pull what they ask for, as auth.docker.io does."""

    def __init__(self, folder: Path) -> None:
        ca = trustme.CA()
        ca.cert_pem.write_to_path(folder / "ca.pem")
        certificate = ca.issue_cert("issuer.test")
        self.key = certificate.private_key_pem.bytes()
        chain = x509.load_pem_x509_certificate(certificate.cert_chain_pems[0].bytes())
        self.chain = [base64.b64encode(chain.public_bytes(Encoding.DER)).decode()]
        super().__init__(("127.0.0.1", 0), Tokens)
        self.realm = f"http://127.0.0.1:{self.server_port}/token"

    def token(self, scope: str, actions: list[str]) -> str:
        kind, name, _ = scope.split(":")
        now = int(time.time())
        claims = {"iss": "issuer.test", "aud": "registry.test", "sub": "", "iat": now, "nbf": now, "exp": now + 300}
        access = [{"type": kind, "name": name, "actions": actions}]
        return jwt.encode(claims | {"access": access}, self.key, "ES256", headers={"x5c": self.chain})


class Tokens(BaseHTTPRequestHandler):
    server: Issuer

    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        if set(asked) != {"service", "scope"} or asked["service"] != ["registry.test"]:
            self.send_error(400)
            return
        content = json.dumps({"token": self.server.token(asked["scope"][0], ["pull"])}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name of the base class
        """Nothing."""


class Registry:
    """A running registry, to which images can be pushed."""

    def __init__(self, port: int, issuer: Issuer | None) -> None:
        self.host, self._issuer = f"127.0.0.1:{port}", issuer

    def push(self, name: str, tag: str, content: str, *, index: bool = True) -> str:
        """Push a small image for two processors under this tag; return its digest."""
        with httpx.Client(base_url=f"http://{self.host}") as client:
            if self._issuer:
                token = self._issuer.token(f"repository:{name}:", ["pull", "push"])
                client.headers["Authorization"] = f"Bearer {token}"
            manifests = []
            for architecture in ("amd64", "arm64")[: 2 if index else 1]:
                image = {"architecture": architecture, "os": "linux", "config": {"Labels": {"content": content}}}
                config = self._blob(client, name, json.dumps(image | {"rootfs": {"type": "layers", "diff_ids": []}}))
                described = {"mediaType": "application/vnd.oci.image.config.v1+json", **config}
                one = {"schemaVersion": 2, "mediaType": MANIFESTS[0], "config": described, "layers": []}
                manifest = self._manifest(client, name, "" if index else tag, one)
                manifests.append({**manifest, "platform": {"architecture": architecture, "os": "linux"}})
            if not index:
                return str(manifests[0]["digest"])
            several = {"schemaVersion": 2, "mediaType": INDEXES[0], "manifests": manifests}
            return str(self._manifest(client, name, tag, several)["digest"])

    @staticmethod
    def _blob(client: httpx.Client, name: str, content: str) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"
        place = client.post(f"/v2/{name}/blobs/uploads/").raise_for_status().headers["Location"]
        put = client.put(httpx.URL(place).copy_merge_params({"digest": digest}), content=content)
        put.raise_for_status()
        return {"digest": digest, "size": len(content)}

    @staticmethod
    def _manifest(client: httpx.Client, name: str, tag: str, manifest: dict[str, Any]) -> dict[str, Any]:
        content = json.dumps(manifest).encode()
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        kind = {"Content-Type": manifest["mediaType"]}
        client.put(f"/v2/{name}/manifests/{tag or digest}", content=content, headers=kind).raise_for_status()
        return {"mediaType": manifest["mediaType"], "digest": digest, "size": len(content)}


@contextmanager
def registry(folder: Path, *, with_tokens: bool = False) -> Iterator[Registry]:
    program = find_program("docker-registry", package="docker-registry")
    port = free_port()
    with Issuer(folder) as issuer:
        threading.Thread(target=issuer.serve_forever, args=(0.01,), daemon=True).start()
        config = CONFIG + AUTHORIZED if with_tokens else CONFIG
        (folder / "registry.yml").write_text(config.format(folder=folder, port=port, realm=issuer.realm))
        with (folder / "registry.log").open("wb") as log:
            running = subprocess.Popen([program, "serve", folder / "registry.yml"], stdout=log, stderr=log)
        try:
            wait_until("the registry answers", lambda: _answers(port) or running.poll() is not None)
            assert running.poll() is None, (folder / "registry.log").read_text()
            yield Registry(port, issuer if with_tokens else None)
        finally:
            running.terminate()
            running.wait(10)
            issuer.shutdown()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/v2/").status_code in (200, 401)
    except httpx.HTTPError:
        return False


def checkout(folder: Path, host: str) -> Callable[[], dict[str, str]]:
    """The shipped files in a folder, with images of this registry. -> what reads them."""
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        text = (ROOT / name).read_text()
        (folder / name).write_text(IMAGE.sub(lambda found: f"{found[1]}{host}/{found[2]}:{found[3]}", text))
    return lambda: {name: (folder / name).read_text() for name in FILES}


def shipped() -> set[tuple[str, str]]:
    """The images of others in the shipped files: (name, tag)."""
    return {(found["name"], found["tag"]) for name in FILES for found in IMAGE.finditer((ROOT / name).read_text())}


@pytest.mark.parametrize("with_tokens", [False, True], ids=["open", "with tokens"])
def test_digests_are_renewed(tmp_path: Path, with_tokens: bool) -> None:
    """Each image of others gets the digest that its tag names now; nothing else in the files changes."""
    with registry(tmp_path, with_tokens=with_tokens) as there:
        read = checkout(tmp_path / "checkout", there.host)
        for content in ("first", "second"):
            pushed = {image: there.push(*image, content) for image in shipped()}
            before = read()
            said = renew(tmp_path / "checkout")
            assert len(said) == len(pushed) == 5
            assert all(" -> " in line for line in said)
            for name, text in read().items():
                found = {
                    (one["name"].removeprefix(f"{there.host}/"), one["tag"]): one["digest"]
                    for one in IMAGE.finditer(text)
                }
                assert found.items() <= pushed.items()
                assert without_digests(text) == without_digests(before[name])
        assert {line.rpartition("  ")[2] for line in renew(tmp_path / "checkout")} == {"unchanged"}


def without_digests(text: str) -> str:
    return re.sub("@sha256:[0-9a-f]{64}", "", text)


def test_one_answer_is_missing(tmp_path: Path) -> None:
    """If a registry lacks one tag, or is away, no file changes, and the image is named."""
    with registry(tmp_path) as there:
        read = checkout(tmp_path / "checkout", there.host)
        before = read()
        for image in sorted(shipped())[:-1]:
            there.push(*image, "first")
        name, tag = sorted(shipped())[-1]
        with pytest.raises(
            SystemExit, match=rf"{re.escape(name)}:{re.escape(tag)}, got HTTP 404\. Nothing was changed."
        ):
            renew(tmp_path / "checkout")
    with pytest.raises(SystemExit, match=r"could not be looked up .* Nothing was changed\."):
        renew(tmp_path / "checkout")
    assert read() == before


def test_image_for_one_processor(tmp_path: Path) -> None:
    """An image for one kind of processor is refused, because others could not start it."""
    with registry(tmp_path) as there:
        read = checkout(tmp_path / "checkout", there.host)
        before = read()
        for image in shipped():
            there.push(*image, "first", index=False)
        with pytest.raises(SystemExit, match="is for one kind of processor only"):
            renew(tmp_path / "checkout")
    assert read() == before


@pytest.mark.parametrize(
    ("name", "registry", "path"),
    [
        ("python", "https://registry-1.docker.io", "library/python"),
        ("docker.io/library/python", "https://registry-1.docker.io", "library/python"),
        ("cloudflare/cloudflared", "https://registry-1.docker.io", "cloudflare/cloudflared"),
        ("ghcr.io/home-assistant/home-assistant", "https://ghcr.io", "home-assistant/home-assistant"),
        ("registry.example:5000/python", "https://registry.example:5000", "python"),
        ("localhost:5000/a/b", "http://localhost:5000", "a/b"),
    ],
)
def test_place_of_an_image(name: str, registry: str, path: str) -> None:
    """A name without a registry is at Docker Hub; only a registry of this machine is asked without TLS."""
    assert place_of(name) == (registry, path)


def test_every_image_of_others_is_found() -> None:
    """Each image that the files name is built here, or is renewed."""
    named = {service["image"] for service in yaml.safe_load((ROOT / "compose.yaml").read_text())["services"].values()}
    theirs = {without_digests(image) for image in named if "weighbridge" not in image.lower()}
    dockerfile = (ROOT / "Dockerfile").read_text()
    stages = re.findall(r"(?m)^FROM \S+ AS (\S+)$", dockerfile)
    bases = set(re.findall(r"(?m)^FROM (\S+)", dockerfile)) - set(stages)
    assert bases == {"${PYTHON}"}
    theirs |= {without_digests(image) for image in re.findall(r"(?m)^ARG PYTHON=(\S+)$", dockerfile)}
    assert {":".join(image) for image in shipped()} == theirs
