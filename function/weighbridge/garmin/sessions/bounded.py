"""Limits the answers of a session of curl_cffi: an answer of a few hundred bytes can inflate to gigabytes.

Rule: an answer is counted as it arrives, inflated. At the limit the connection is closed, and nothing of it is used.

Facts: years of weigh-ins are some 400 bytes each, so the limit is twenty thousand of them. A `content_callback` of
curl_cffi that returns `CURL_WRITEFUNC_ERROR` ends the transfer with curl's error 23.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

MOST_BYTES = 8 << 20
TOO_LARGE_CODE = 23  # CURLE_WRITE_ERROR
_STOP = 0xFFFFFFFF  # CURL_WRITEFUNC_ERROR

TOO_LARGE = (
    f"The answer of Garmin Connect is larger than {MOST_BYTES >> 20} MiB, so it was not read. Is it from a proxy? "
    "If not, send readings of fewer years at once."
)


def bounded(request: Callable[..., Any], **always: Any) -> Callable[..., Any]:
    """A session's `request`, with the limit, and with these options for each request."""

    @wraps(request)
    def limited(*args: Any, **options: Any) -> Any:
        chunks: list[bytes] = []
        left = MOST_BYTES

        def take(chunk: bytes) -> int:
            nonlocal left
            left -= len(chunk)
            if left < 0:
                return _STOP
            chunks.append(chunk)
            return len(chunk)

        response = request(*args, **options, **always, content_callback=take)
        response.content = b"".join(chunks)
        return response

    return limited
