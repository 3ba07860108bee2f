"""A function and a person's account in it, over reused connections.

Facts: Streamlit runs the page from its top at each change, and creating a client with a new TLS context takes 30 ms.
`weighbridge serve` and the image close a connection that has been idle for 75 s, many proxies after 60 s,
functions-framework's own command after 2 s. Before httpx uses a kept connection, it looks whether the other side has
closed it. The key belongs to one browser session, so the transport that all sessions share has no key.

Weakness: a connection may be closed in the very moment in which a request is sent. Then the page says that the function
does not answer, and the same may be sent again.
"""

from __future__ import annotations

from typing import NamedTuple

import httpx
import streamlit as st

from weighbridge.client import Client, Target

#: A person who types pauses for seconds. Still, a connection is closed here before the function closes it.
KEPT = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=50)


class FunctionOf(NamedTuple):
    target: Target
    #: The person, if the function serves several people.
    person: str = ""

    @property
    def client(self) -> Client:
        return Client(self.target, transport=_connections())


@st.cache_resource(show_spinner=False)
def _connections() -> httpx.BaseTransport:
    return httpx.HTTPTransport(limits=KEPT, trust_env=False)
