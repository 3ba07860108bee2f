"""The commands that messages name, and how they are typed.

Rule: a message gives the whole command, with the person's `--name`, so that it can be copied. No module completes
another module's sentence.
"""

from __future__ import annotations

from typing import Final

#: The name of the token where no people are configured.
DEFAULT_TOKEN: Final = "default"  # noqa: S105  # a name
#: The sign-in for the delivery `browser`.
BROWSER_LOGIN: Final = "login --way window"


def command(words: str, token_name: str = DEFAULT_TOKEN) -> str:
    """`weighbridge login`, or `weighbridge login --name anna`."""
    return f"weighbridge {words}" if token_name == DEFAULT_TOKEN else f"weighbridge {words} --name {token_name}"


def to_upload(*, in_container: bool) -> str:
    """The end of a sentence: how to go on from files kept for import by hand to uploads."""
    if in_container:
        return "To upload them, set WEIGHBRIDGE_DELIVERY=garmin,folder in .env, and then: docker compose up --detach"
    return "To upload them: WEIGHBRIDGE_DELIVERY=garmin,folder weighbridge serve"


def needs_extra(what: str, extra: str) -> str:
    """The sentence for a part of the package whose libraries are not installed.

    The command installs from a checkout: no package index has Weighbridge yet, and somebody else's package may get
    its name there.
    """
    return f"{what} needs more packages. In the checkout: pipx install --force '.[{extra}]'."


def sign_in_again(token_name: str = DEFAULT_TOKEN) -> str:
    """The last sentence of every message about a sign-in that no longer works."""
    return f"Sign in again: {command('login', token_name)}."
