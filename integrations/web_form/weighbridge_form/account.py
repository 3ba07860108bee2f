"""A function and whose account there, over connections that are kept.

Facts: a page of Streamlit runs from its top at each change, and a client with a TLS context of its own takes 30 ms to
make. gunicorn, which serves the function, closes a connection that was idle for 2 s. The key belongs to the browser's
session, so what all sessions share has none.
"""

from __future__ import annotations

from typing import NamedTuple

import httpx
import streamlit as st

from weighbridge.client import Client, Target

#: Given up before the server gives it up, so that no request is sent into a connection that is just being closed.
KEPT = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=1.5)


class FunctionOf(NamedTuple):
    target: Target
    #: Whose, where the function serves several people.
    person: str = ""

    @property
    def client(self) -> Client:
        return Client(self.target, transport=_connections())


@st.cache_resource(show_spinner=False)
def _connections() -> httpx.BaseTransport:
    return httpx.HTTPTransport(limits=KEPT, trust_env=False)
