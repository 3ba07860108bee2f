"""The files that ship with the package: templates, the target for functions-framework, the demo's reading.

Facts: in a checkout they are in templates/, function/main.py and examples/. In a wheel they are in this package, in the
folder `shipped` (pyproject.toml, force-include).
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent
_SHIPPED = _PACKAGE / "shipped"
_ROOT = _SHIPPED if _SHIPPED.is_dir() else _PACKAGE.parent.parent

TEMPLATES = _ROOT / "templates"
#: For `functions-framework --source`.
TARGET = _ROOT / "function" / "main.py"
EXAMPLE = _ROOT / "examples" / "fitdays.json"
