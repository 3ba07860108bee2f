"""The README as the page of the package: a package index shows it without the repository, so each link is absolute.

hatchling loads this file when it builds the package (pyproject.toml, tool.hatch.metadata.hooks.custom).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class Readme(MetadataHookInterface):
    """Adds `readme` to the metadata of the project."""

    def update(self, metadata: dict[str, Any]) -> None:
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": absolute(text, metadata["urls"]["Homepage"]),
        }


def absolute(text: str, repository: str) -> str:
    text = re.sub(r"\]\((?!\w+:|#)", f"]({repository}/blob/main/", text)
    return re.sub(r'\bsrc="(?!\w+:)', f'src="{repository}/raw/main/', text)
