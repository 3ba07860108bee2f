"""A push subscription of Google Pub/Sub, with its tokens and its dead-letter topic.

Rule: at least as strict as the real one. Only what acknowledges a message there does so here: 102, 200, 201, 202, 204
within the deadline. Anything else brings the message again, later each time, until it has been tried often enough.

Facts (Pub/Sub, "Push subscriptions", "Dead-letter topics" and "Retry requests", November 2026): the message is wrapped
in JSON, its data in base64, its identifiers and times in two spellings. `deliveryAttempt` is there if there is a
dead-letter topic. Eventarc sends the same body as a CloudEvent in binary mode. The pause between two attempts is 10 s
to 600 s there; here it is as long as the test says.
"""

from __future__ import annotations

import base64
import itertools
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from google.auth import crypt, jwt

ACKNOWLEDGES = (102, 200, 201, 202, 204)
ACCOUNT = "push@weighbridge-test.iam.gserviceaccount.com"
AUDIENCE = "https://weighbridge.example.com/readings"
TOPIC = "projects/weighbridge-test/topics/readings"
SUBSCRIPTION = "projects/weighbridge-test/subscriptions/weighbridge"


class Signer:
    """A key of Google's, with its certificate."""

    def __init__(self, name: str) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "federated-signon.system.gserviceaccount.com")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=14))
            .sign(key, hashes.SHA256())
        )
        self.name = name
        self.certificate = certificate.public_bytes(serialization.Encoding.PEM).decode()
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self._signer = crypt.RSASigner.from_string(pem, key_id=name)

    def token(self, **changed: object) -> str:
        """A token as Pub/Sub sends it, with other claims; None leaves one out."""
        now = int(time.time())
        claims: dict[str, object] = {
            "iss": "https://accounts.google.com",
            "aud": AUDIENCE,
            "azp": "113774264463038321964",
            "sub": "113774264463038321964",
            "email": ACCOUNT,
            "email_verified": True,
            "iat": now,
            "exp": now + 3600,
        } | changed
        claims = {name: claim for name, claim in claims.items() if claim is not None}
        encoded: bytes = jwt.encode(self._signer, claims)
        return encoded.decode()


class PubSub:
    """A topic with one push subscription. `max_attempts`: then a message goes to the dead-letter topic."""

    def __init__(self, certificates: str, signer: Signer) -> None:
        self.certificates, self.signer = certificates, signer
        #: How often the certificates were asked for, and whether they cannot be had.
        self.fetched, self.is_away = 0, False
        self.endpoint = ""
        self.deadline_s, self.first_pause_s, self.longest_pause_s = 120.0, 0.02, 0.5
        self.max_attempts = 100
        #: As Eventarc sends it.
        self.as_event = False
        #: Whether each message is sent twice at once, as "at least once" allows.
        self.twice = False
        self.token = signer.token
        #: Identifier -> the status of each attempt; 0 without an answer.
        self.attempts: dict[str, list[int]] = {}
        self.dead: list[str] = []
        self._numbers = itertools.count(7_340_000_000_000_001)

    def push(self, *readings: object) -> list[str]:
        """Publish readings, and deliver them at once until each is acknowledged or dead. Their identifiers."""
        messages = [self._message(reading) for reading in readings]
        with ThreadPoolExecutor(32) as pool:
            for message in messages * (2 if self.twice else 1):
                pool.submit(self._deliver, message)
        return [str(message["messageId"]) for message in messages]

    def _message(self, reading: object) -> dict[str, Any]:
        identifier, published = str(next(self._numbers)), f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"[:-4] + "Z"
        self.attempts[identifier] = []
        return {
            "attributes": {"scale": "bathroom"},
            "data": base64.b64encode(json.dumps(reading).encode()).decode(),
            "messageId": identifier,
            "message_id": identifier,
            "publishTime": published,
            "publish_time": published,
        }

    def _deliver(self, message: Mapping[str, Any]) -> None:
        pause_s = self.first_pause_s
        for attempt in range(1, self.max_attempts + 1):
            status = self._post(message, attempt)
            self.attempts[message["messageId"]].append(status)
            if status in ACKNOWLEDGES:
                return
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, self.longest_pause_s)
        self.dead.append(message["messageId"])

    def _post(self, message: Mapping[str, Any], attempt: int) -> int:
        body = {"message": message, "subscription": SUBSCRIPTION, "deliveryAttempt": attempt}
        headers = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {self.token()}",
            "From": "noreply@google.com",
            "User-Agent": "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)",
        }
        if self.as_event:
            headers |= {
                "ce-id": message["messageId"],
                "ce-source": f"//pubsub.googleapis.com/{TOPIC}",
                "ce-specversion": "1.0",
                "ce-type": "google.cloud.pubsub.topic.v1.messagePublished",
                "ce-time": message["publishTime"],
            }
        request = urllib.request.Request(self.endpoint, json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=self.deadline_s) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as e:
            with e:
                return e.code
        except OSError:
            return 0


@contextmanager
def pubsub() -> Iterator[PubSub]:
    """The subscription, and the address that has the certificate of its tokens."""
    signer = Signer("key-of-november")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            topic.fetched += 1
            known = self.path == "/oauth2/v1/certs" and not topic.is_away
            body = json.dumps({signer.name: signer.certificate} if known else {}).encode()
            self.send_response(200 if known else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    topic = PubSub(f"http://127.0.0.1:{server.server_address[1]}/oauth2/v1/certs", signer)
    try:
        yield topic
    finally:
        server.shutdown()
        server.server_close()
