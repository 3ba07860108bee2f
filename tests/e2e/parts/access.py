"""Cloudflare Access on this machine: a team's keys over TLS, and tokens that it signs.

with AccessStandIn() as team:
    team.domain         "127.0.0.1:PORT", for WEIGHBRIDGE_FORM_ACCESS_TEAM
    team.ca_bundle      the file for SSL_CERT_FILE
    team.token()        what Access adds to a request

Facts: as in weighbridge_form.access. The answer with the keys, and the claims of a token, have the fields that
Cloudflare's pages "Validate JWTs" and "Application token" show.
"""

from __future__ import annotations

import json
import ssl
import tempfile
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import jwt
import trustme
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from jwt.utils import base64url_encode

AUDIENCE = "32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d06bc3cdf1b53c4228"
HASHES: Mapping[str, type[hashes.HashAlgorithm]] = {"RS256": hashes.SHA256, "RS512": hashes.SHA512}


class SigningKey:
    """A key pair of a team."""

    def __init__(self) -> None:
        self.private = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        public = self.private.public_key()
        self.pem = public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode()
        digest = hashes.Hash(hashes.SHA256())
        digest.update(self.pem.encode())
        self.name = digest.finalize().hex()

    def as_jwk(self) -> dict[str, Any]:
        jwk = jwt.algorithms.RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        return {"kid": self.name, "kty": "RSA", "alg": "RS256", "use": "sig", "e": jwk["e"], "n": jwk["n"]}

    def signature(self, signed: bytes, algorithm: str) -> bytes:
        return self.private.sign(signed, padding.PKCS1v15(), HASHES[algorithm]())


def part(content: Mapping[str, Any] | bytes) -> str:
    """A part of a token: base64url without padding (RFC 7515)."""
    return base64url_encode(content if isinstance(content, bytes) else json.dumps(content).encode()).decode()


class AccessStandIn:
    """A team with one application, from `with` to the end of the block."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.address = address
        self.keys = [SigningKey()]
        self.fetched = 0
        #: The answer with the keys, instead of the usual one: its status and body.
        self.answers_with: tuple[int, bytes] | None = None

    def rotate(self) -> None:
        """A new key. Tokens of the previous one stay valid; those of the one before do not."""
        self.keys = [SigningKey(), self.keys[0]]

    def claims(self, **other: Any) -> dict[str, Any]:
        """Those of a token that was made now, with these instead; None leaves one out."""
        now = int(time.time())
        claims = {
            "aud": [AUDIENCE],
            "email": "planted-ben@example.com",
            "exp": now + 3_600,
            "iat": now,
            "nbf": now,
            "iss": f"https://{self.domain}",
            "type": "app",
            "identity_nonce": "6ei69kawdKzMIAPF",
            "sub": "7335d417-61da-459d-899c-0a01c76a2f94",
            "country": "DE",
        }
        return {name: value for name, value in (claims | other).items() if value is not None}

    def token(self, key: SigningKey | None = None, *, algorithm: str = "RS256", name: str = "", **other: Any) -> str:
        """A token, signed with the current key or this one, under the key's name or this one."""
        key = key or self.keys[0]
        signed = f"{part({'alg': algorithm, 'kid': name or key.name, 'typ': 'JWT'})}.{part(self.claims(**other))}"
        return f"{signed}.{part(key.signature(signed.encode(), algorithm))}"

    # -- the server ------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        ca = trustme.CA()
        self._folder = tempfile.TemporaryDirectory(prefix="access-stand-in-")
        self.ca_bundle = Path(self._folder.name, "ca.pem")
        ca.cert_pem.write_to_path(self.ca_bundle)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert(self.address).configure_cert(context)
        self._server = Server((self.address, 0), self, context)
        self.domain = f"{self.address}:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._folder.cleanup()

    def answer(self, path: str) -> tuple[int, bytes]:
        if path != "/cdn-cgi/access/certs":
            return 404, b"not found"
        self.fetched += 1
        certificates = [{"kid": key.name, "cert": key.pem} for key in self.keys]
        answer = {
            "keys": [key.as_jwk() for key in self.keys],
            "public_cert": certificates[0],
            "public_certs": certificates,
        }
        return self.answers_with or (200, json.dumps(answer).encode())


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], team: AccessStandIn, context: ssl.SSLContext) -> None:
        self.team = team
        super().__init__(address, Handler)
        self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a client that does not trust the certificate leaves."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        status, content = self.server.team.answer(self.path)
        self.send_response(status)
        if status in (301, 302):
            self.send_header("Location", content.decode())
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name of the base class
        """Nothing."""
