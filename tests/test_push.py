"""The token of a push of Pub/Sub: only Google's, for this account and this audience, and valid now. And what is
acknowledged."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator

import pytest

from tests.google.pubsub import ACCOUNT, AUDIENCE, PubSub, Signer, pubsub
from weighbridge.errors import Busy, SettingsInvalid, Unauthorized
from weighbridge.http.push import FRESH_S, PAUSE_S, PUSH, SHORT_PAUSE_S, Pushes, is_token, message_id, status_for
from weighbridge.settings import Push, Right, read_settings

STRANGER = Signer("key-of-november")
DECEMBER = Signer("key-of-december")
HEADER = base64.urlsafe_b64encode(b'{"alg": "none", "kid": "key-of-november", "typ": "JWT"}').decode().rstrip("=")
UNFIT: dict[str, tuple[str, Callable[[Signer], str]]] = {
    "another audience": ("WEIGHBRIDGE_PUSH_AUDIENCE", lambda signer: signer.token(aud="https://else.example.com")),
    "no audience": ("WEIGHBRIDGE_PUSH_AUDIENCE", lambda signer: signer.token(aud=None)),
    "another account": ("WEIGHBRIDGE_PUSH_ACCOUNT", lambda signer: signer.token(email="else@example.com")),
    "not verified": ("WEIGHBRIDGE_PUSH_ACCOUNT", lambda signer: signer.token(email_verified=False)),
    "another issuer": ("accounts.google.com", lambda signer: signer.token(iss="https://accounts.example.com")),
    "expired": ("not valid now", lambda signer: signer.token(iat=1_700_000_000, exp=1_700_003_600)),
    "from the future": ("not valid now", lambda signer: signer.token(iat=4_000_000_000, exp=4_000_003_600)),
    "without an end": ("not valid now", lambda signer: signer.token(exp=None)),
    "an end that is a word": ("not valid now", lambda signer: signer.token(exp="never")),
    "another key of the same name": ("signature is wrong", lambda _signer: STRANGER.token()),
    "an unknown key": ("unknown key", lambda _signer: DECEMBER.token()),
    "no algorithm": ("RS256", lambda signer: f"{HEADER}.{signer.token().split('.')[1]}."),
    "Cloud Run's": (
        "signature is wrong",
        lambda signer: f"{signer.token().rpartition('.')[0]}.SIGNATURE_REMOVED_BY_GOOGLE",
    ),
    "nonsense": ("signature is wrong", lambda _signer: "a.b.c"),
    "other claims": ("signature is wrong", lambda signer: _mixed(signer)),
}


def _mixed(signer: Signer) -> str:
    """The claims of one token with the signature of another."""
    head, _, signature = signer.token().split(".")
    return f"{head}.{signer.token(sub='2').split('.')[1]}.{signature}"


@pytest.fixture(scope="module")
def topic() -> Iterator[PubSub]:
    with pubsub() as topic:
        yield topic


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def pushes(topic: PubSub, clock: Clock | None = None) -> Pushes:
    return Pushes(Push(ACCOUNT, AUDIENCE, topic.certificates), clock or Clock())


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def test_fit_token(topic: PubSub) -> None:
    """A token of the subscription is let in, to send and for nothing else."""
    key = pushes(topic).admit(bearer(topic.signer.token()))
    assert key == PUSH
    assert key.rights == {Right.SEND}


@pytest.mark.parametrize("name", UNFIT)
def test_unfit_token(topic: PubSub, name: str) -> None:
    """Any other token is refused. The message says why, and does not repeat it."""
    said, made = UNFIT[name]
    token = made(topic.signer)
    with pytest.raises(Unauthorized, match=said) as caught:
        pushes(topic).admit(bearer(token))
    assert caught.value.__cause__ is None
    assert token.split(".")[1] not in str(caught.value)


def test_certificates_are_kept(topic: PubSub) -> None:
    """Made-up tokens do not become as many requests; new certificates are found, and old ones are asked for again."""
    clock = Clock()
    door = pushes(topic, clock)
    door.admit(bearer(topic.signer.token()))
    asked = topic.fetched
    for _ in range(5):
        with pytest.raises(Unauthorized):
            door.admit(bearer(DECEMBER.token()))
    assert topic.fetched == asked
    clock.now += PAUSE_S
    with pytest.raises(Unauthorized):
        door.admit(bearer(DECEMBER.token()))
    assert topic.fetched == asked + 1
    clock.now += FRESH_S + 1
    door.admit(bearer(topic.signer.token()))
    assert topic.fetched == asked + 2


def test_no_certificates(topic: PubSub) -> None:
    """While Google's certificates cannot be had, nobody is let in or refused; a push comes again, and soon gets in."""
    clock = Clock()
    door = pushes(topic, clock)
    topic.is_away, asked = True, topic.fetched
    for _ in range(5):
        with pytest.raises(Busy, match="could not be fetched"):
            door.admit(bearer(topic.signer.token()))
    assert topic.fetched == asked + 1
    topic.is_away = False
    clock.now += SHORT_PAUSE_S
    assert door.admit(bearer(topic.signer.token())) == PUSH


def test_what_may_be_a_token() -> None:
    """A key is looked for among the keys, also beside a token."""
    assert is_token(bearer("a.b.c"))
    assert not is_token(bearer("a-key-of-sixteen-letters"))
    assert not is_token({**bearer("a.b.c"), "x-api-key": "a-key-of-sixteen-letters"})
    assert not is_token({})


NEVER, LATER, REPAIR = ({"again": again} for again in ("never", "later", "after_repair"))


@pytest.mark.parametrize(
    ("status", "body", "answered"),
    [
        (201, {"status": "confirmed"}, 201),
        (422, NEVER, 200),
        (409, NEVER, 200),
        (408, LATER, 408),
        (403, REPAIR, 403),
        (503, LATER, 503),
        (207, {"results": [{"status": "confirmed"}, NEVER]}, 200),
        (207, {"results": [NEVER, {"results": [LATER]}]}, 503),
        (207, {"results": [REPAIR]}, 503),
    ],
)
def test_what_is_acknowledged(status: int, body: object, answered: int) -> None:
    """A push is acknowledged if all of it arrived, or can never arrive."""
    assert status_for(status, body) == answered


def test_message_id() -> None:
    """The log names the message by its number; anything else that came is left out."""
    assert message_id({"ce-id": "734"}, b"") == "734"
    assert message_id({}, b'{"message": {"messageId": "735"}}') == "735"
    for content in (b"", b"[]", b"{}", b'{"message": {"messageId": "a b"}}', b"[" * 100_000):
        assert message_id({}, content) == ""


def test_half_a_setting() -> None:
    """An account without an audience would let in a token that was made for somebody else."""
    for name, value in (("WEIGHBRIDGE_PUSH_ACCOUNT", ACCOUNT), ("WEIGHBRIDGE_PUSH_AUDIENCE", AUDIENCE)):
        with pytest.raises(SettingsInvalid, match="belong together"):
            read_settings({name: value})
