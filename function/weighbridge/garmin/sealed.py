"""A text in a file that only the holder of the key can read.

Rule: the same text is never sealed in the same way twice, and one that was changed anywhere is not read at all.

Facts: SHAKE-256 of a secret prefix is a pseudorandom function with an output of any length (NIST SP 800-185, which
builds KMAC on it). Its output, joined to a text by exclusive or, is a stream cipher: safe as long as no output is used
twice, for which there is the nonce. HMAC-SHA-256 is over what came out of it ("encrypt, then MAC").

Strategy: the standard library has no cipher, and `cryptography` (16 MB, and no wheels for some machines on which
Python runs) would be in every install for this file alone. A key of 256 random bits needs no salt and no stretching.

Weakness: the cipher was put together here. Its parts are standard, and its texts are worthless after minutes.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from ..secret import SecretStr

NONCE, MARK = 16, 32


def seal(text: SecretStr, key: SecretStr, about: str) -> str:
    """What only `unseal` can read, with the same key and the same `about`, which is not secret."""
    nonce = secrets.token_bytes(NONCE)
    hidden = _joined(text.get_secret_value().encode(), key, nonce)
    return (nonce + _mark(key, nonce, about, hidden) + hidden).hex()


def unseal(sealed: str, key: SecretStr, about: str) -> SecretStr | None:
    """The text; None if the key is another one, or anything was changed."""
    try:
        content = bytes.fromhex(sealed)
    except ValueError:
        return None
    nonce, mark, hidden = content[:NONCE], content[NONCE : NONCE + MARK], content[NONCE + MARK :]
    if not hmac.compare_digest(mark, _mark(key, nonce, about, hidden)):
        return None
    return SecretStr(_joined(hidden, key, nonce).decode())


def _joined(content: bytes, key: SecretStr, nonce: bytes) -> bytes:
    stream = hashlib.shake_256(_key_for("hide", key) + nonce).digest(len(content))
    return bytes(each ^ other for each, other in zip(content, stream, strict=True))


def _mark(key: SecretStr, nonce: bytes, about: str, hidden: bytes) -> bytes:
    parts = (nonce, hashlib.sha256(about.encode()).digest(), hidden)
    return hmac.digest(_key_for("mark", key), b"".join(parts), "sha256")


def _key_for(use: str, key: SecretStr) -> bytes:
    """A key of 32 bytes for each use, of which none says anything about another."""
    return hmac.digest(key.get_secret_value().encode(), use.encode(), "sha256")
