"""make import FILE=…: the history import, with a function of its own around it where none is named or running."""

from __future__ import annotations

import os
import sys

from weighbridge_history.__main__ import main as import_history
from weighbridge.operate.demo import function_process, is_answering

USUAL = "http://127.0.0.1:8080"


def main() -> int:
    if os.environ.get("WEIGHBRIDGE_URL") or is_answering(USUAL):
        return import_history()
    # Two workers, because a rehearsal of years keeps more than one core busy.
    with function_process(os.environ | {"WORKERS": "2"}) as address:
        return import_history(address=address)


if __name__ == "__main__":
    sys.exit(main())
