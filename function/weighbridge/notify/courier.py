"""The courier: a process that sends one notice with Apprise. `send.py` starts it.

Rule: it reads one order (JSON) from standard input, and writes one answer to standard output: for each service its
name, and why it did not take the notice. The answer holds nothing of an address or of what a service said.

Facts (Apprise 2.3): a connection and an answer have 4 s each, unless the address says otherwise (`cto`, `rto`).
Redirects are followed by default; that would give what is in an address to another host. A failure is `False`; only the
log says why, with the status as `error=500`.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Mapping
from typing import Any

import apprise


def main() -> None:
    order = json.load(sys.stdin)
    out, sys.stdout = sys.stdout, sys.stderr  # a service may print
    answer = carry(order)
    out.write(json.dumps(answer))


def carry(order: Mapping[str, Any]) -> dict[str, list[str]]:
    """Send a notice, or only look at the addresses if the order has none."""
    asset = apprise.AppriseAsset(app_id="Weighbridge", app_desc="Weighbridge", http_redirects=False)
    services = [apprise.Apprise.instantiate(address, asset=asset) for address in order["services"]]
    names = [
        "" if service is None else address.partition("://")[0].lower()
        for address, service in zip(order["services"], services, strict=True)
    ]
    if "title" not in order:
        return {"services": names, "whys": []}
    whys = ["not known to Apprise" if each is None else _send(each, order["title"], order["body"]) for each in services]
    return {"services": names, "whys": whys}


def _send(service: Any, title: str, body: str) -> str:
    one = apprise.Apprise()
    one.add(service)
    with apprise.LogCapture(level=logging.WARNING) as log:  # type: ignore[no-untyped-call]  # Apprise's
        try:
            if one.notify(title=title, body=body, body_format=apprise.NotifyFormat.TEXT):
                return ""
        except Exception as e:  # noqa: BLE001  # whatever a service's plugin raises, the next one has its turn
            return type(e).__name__
        status = re.search(r"error=([1-5]\d\d)\b", log.getvalue())
    if status is None:
        return "no answer"
    redirect = ", a redirect, which is not followed" if status[1].startswith("3") else ""
    return f"HTTP {status[1]}{redirect}"


if __name__ == "__main__":
    main()
