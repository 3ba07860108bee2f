"""A function and a person's account in it, over reused connections.

Facts: Streamlit runs the page from its top at each change, and creating a client with a new TLS context takes 30 ms.
Some servers and proxies close a connection that is idle for 2 s, so it is not kept for as long. The key belongs to one
browser session, so the transport that all sessions share has no key.
"""

from __future__ import annotations

from typing import NamedTuple

import httpx
import streamlit as st

from weighbridge.client import Client, Target

#: Idle connections are closed before the server closes them, so no request is sent into a closing connection.
KEPT = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=1.5)


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
