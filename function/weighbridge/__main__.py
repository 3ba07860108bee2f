"""python -m weighbridge: the command `weighbridge`, when it is not on the PATH."""

from __future__ import annotations

from .cli import main

main(prog_name="weighbridge")
