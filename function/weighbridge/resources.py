"""The files that come along: templates, the target for functions-framework, the demo's reading.

Facts: in a checkout they lie where a reader looks for them (templates/, function/main.py, examples/); in a wheel they
lie in this package, in the folder `shipped` (pyproject.toml, force-include).
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent
_SHIPPED = _PACKAGE / "shipped"
_ROOT = _SHIPPED if _SHIPPED.is_dir() else _PACKAGE.parent.parent

TEMPLATES = _ROOT / "templates"
#: What `functions-framework --source` is given.
TARGET = _ROOT / "function" / "main.py"
EXAMPLE = _ROOT / "examples" / "fitdays.json"
