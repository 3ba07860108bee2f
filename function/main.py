"""The target for functions-framework, here and in a cloud.

functions-framework --source function/main.py --target handle
"""

import os

from flask import Request, Response

from weighbridge.http.app import Shell, print_line

_shell = Shell(os.environ, print_line)


def handle(request: Request) -> Response:
    """Answer every request, whatever its path and method."""
    return _shell.answer(request)
