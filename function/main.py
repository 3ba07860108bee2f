"""The target for functions-framework, here and in a cloud.

functions-framework --asgi --source function/main.py --target handle
"""

import os

from starlette.requests import Request
from starlette.responses import Response

from weighbridge.http.app import Shell, print_line

_shell = Shell(os.environ, print_line)


async def handle(request: Request) -> Response:
    """Answer every request, whatever its path and method."""
    return await _shell.answer(request)
