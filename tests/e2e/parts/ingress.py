"""A stand-in for Home Assistant and its ingress: its panel, with an app of this machine in a frame.

    python -m tests.e2e.parts.ingress PORT TOKEN ADDRESS [FROM]

FROM is the address from which it asks the app, as the Supervisor has one of its own.

Facts: as homeassistant/components/hassio/ingress.py of 2026.11 does it. The app is at /api/hassio_ingress/TOKEN/, which
is removed from the path. All headers of the browser are passed on, Host and Origin too, without those of the WebSocket
itself; X-Ingress-Path and three X-Forwarded-… are added.
"""

from __future__ import annotations

import asyncio
import sys

from aiohttp import ClientSession, ClientTimeout, TCPConnector, WSMsgType, web

NOT_PASSED_ON = {
    *("content-length", "content-encoding", "transfer-encoding", "accept-encoding"),
    *("sec-websocket-extensions", "sec-websocket-protocol", "sec-websocket-version", "sec-websocket-key"),
}
NOT_PASSED_BACK = {"transfer-encoding", "content-length", "content-encoding"}
CHUNK_BYTES = 1 << 16


def app_of(token: str, target: str, local: str = "") -> web.Application:
    path = f"/api/hassio_ingress/{token}"

    async def panel(_: web.Request) -> web.Response:
        page = f'<!doctype html><title>Home</title><iframe name="app" src="{path}/" width="390" height="844"></iframe>'
        return web.Response(text=page, content_type="text/html")

    def headers_of(request: web.Request) -> dict[str, str]:
        return {name: value for name, value in request.headers.items() if name.lower() not in NOT_PASSED_ON} | {
            "X-Hass-Source": "core.ingress",
            "X-Ingress-Path": path,
            "X-Forwarded-For": request.remote or "",
            "X-Forwarded-Host": request.host,
            "X-Forwarded-Proto": request.scheme,
        }

    async def pass_on(request: web.Request) -> web.StreamResponse:
        address = f"{target}/{request.match_info['path']}"
        if request.headers.get("upgrade", "").lower() == "websocket":
            return await pass_on_messages(request, address)
        body = request.content if request.can_read_body else None
        async with request.app[SESSION].request(
            request.method, address, params=request.query, headers=headers_of(request), data=body, allow_redirects=False
        ) as found:
            answer = web.StreamResponse(status=found.status)
            for name, value in found.headers.items():
                if name.lower() not in NOT_PASSED_BACK:
                    answer.headers.add(name, value)
            await answer.prepare(request)
            async for part in found.content.iter_chunked(CHUNK_BYTES):
                await answer.write(part)
            return answer

    async def pass_on_messages(request: web.Request, address: str) -> web.WebSocketResponse:
        protocols = [part.strip() for part in request.headers.get("sec-websocket-protocol", "").split(",") if part]
        browser = web.WebSocketResponse(protocols=protocols, max_msg_size=0)
        await browser.prepare(request)
        async with request.app[SESSION].ws_connect(
            address, params=request.query, headers=headers_of(request), protocols=protocols, max_msg_size=0
        ) as served:
            ways = [asyncio.create_task(forward(*way)) for way in ((browser, served), (served, browser))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
        await browser.close()
        return browser

    app = web.Application(client_max_size=1 << 30)
    app[LOCAL] = (local, 0) if local else None
    app.cleanup_ctx.append(session)
    app.add_routes([web.get("/", panel), web.route("*", f"{path}/{{path:.*}}", pass_on)])
    return app


SESSION = web.AppKey("session", ClientSession)
LOCAL: web.AppKey[tuple[str, int] | None] = web.AppKey("local")


async def session(app: web.Application):  # type: ignore[no-untyped-def]  # as aiohttp has it
    way = TCPConnector(local_addr=app[LOCAL])
    async with ClientSession(connector=way, auto_decompress=False, timeout=ClientTimeout(total=None)) as opened:
        app[SESSION] = opened
        yield


async def forward(source, sink) -> None:  # type: ignore[no-untyped-def]  # both kinds, both ways
    async for message in source:
        if message.type is WSMsgType.TEXT:
            await sink.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await sink.send_bytes(message.data)


if __name__ == "__main__":
    web.run_app(app_of(*sys.argv[2:]), host="127.0.0.1", port=int(sys.argv[1]), print=None)
