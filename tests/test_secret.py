"""A secret text is not shown."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import dataclass

import pytest

from weighbridge.secret import SecretStr

PLANTED = "planted-secret-0123456789"


@dataclass
class Holder:
    secret: SecretStr


@pytest.mark.parametrize("show", [str, repr, "{}".format, "{!r}".format, lambda secret: repr(Holder(secret))])
def test_secret_is_not_shown(show: object) -> None:
    """No usual way to show a secret shows its text."""
    assert callable(show)
    assert "*" in show(SecretStr(PLANTED))
    assert PLANTED not in show(SecretStr(PLANTED))


def test_secret_is_not_json() -> None:
    """A secret cannot be written as JSON by accident."""
    with pytest.raises(TypeError):
        json.dumps(SecretStr(PLANTED))


def test_secret_is_a_value() -> None:
    """Secrets with the same text are equal, and an empty one is false."""
    assert SecretStr(PLANTED) == SecretStr(PLANTED) != SecretStr("")
    assert hash(SecretStr(PLANTED)) == hash(SecretStr(PLANTED))
    assert copy.deepcopy(SecretStr(PLANTED)) == pickle.loads(pickle.dumps(SecretStr(PLANTED))) == SecretStr(PLANTED)
    assert SecretStr(PLANTED)
    assert not SecretStr("")
    assert SecretStr(PLANTED) != PLANTED
