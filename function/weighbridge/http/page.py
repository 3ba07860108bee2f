"""The page that a browser gets at the function's address, where programs post readings.

Rule: static. It holds no measurement and no setting, so it needs no key.
"""

from __future__ import annotations

from collections.abc import Mapping

DOCUMENTATION = "https://github.com/weighbridge/weighbridge#readme"

PAGE = f"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>Weighbridge</title>
<style>body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem }}</style>
</head>
<body>
<h1>Weighbridge</h1>
<p>Weighbridge takes weigh-ins from smart scales to Garmin Connect.
Programs send readings to this address with POST.</p>
<ul>
<li><a href="health?pretty=true">/health</a>: whether a reading could be delivered now</li>
<li><a href="openapi.json?pretty=true">/openapi.json</a>: how to call it</li>
<li><a href="{DOCUMENTATION}">Documentation</a></li>
</ul>
</body>
</html>
""".encode()

#: Another client gets another answer here, and the page loads nothing.
PAGE_HEADERS: Mapping[str, str] = {
    "Vary": "Accept",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
}
