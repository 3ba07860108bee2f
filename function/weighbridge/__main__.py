"""python -m weighbridge."""

from .cli import main

main(prog_name="weighbridge")
