"""How the page looks: the theme, light and dark, and the style that a theme cannot say.

Rule: one accent, for what can be pressed and for the line of the trend. Everything else is text on a surface. Contrast
is that of WCAG 2.2 AA: 4.5 : 1 for text, 3 : 1 for the edge of a field.

Facts (Streamlit 1.67): with colors in both `theme.light` and `theme.dark`, the page follows the system.

Weakness: style.css names Streamlit's own attributes. The tests in a browser fail if Streamlit renames them.
"""

from __future__ import annotations

from pathlib import Path

FILES = Path(__file__).with_name("looks")

#: Name of the option -> in light, in dark.
COLORS = {
    "primaryColor": ("#0b6e4f", "#56c79f"),
    "backgroundColor": ("#ffffff", "#111613"),
    "secondaryBackgroundColor": ("#f1f5f2", "#1b231e"),
    "textColor": ("#16201b", "#e6ece8"),
    "borderColor": ("#7f8c85", "#6f7d75"),
    "linkColor": ("#0b6e4f", "#7fd6b4"),
    "redColor": ("#b3261e", "#ff9d94"),
    "grayColor": ("#595f69", "#a9b3ad"),
    "redTextColor": ("#9a1c15", "#ffb4ab"),
    "greenTextColor": ("#0a5a41", "#8fdcbd"),
    "blueTextColor": ("#23489c", "#a9c7fa"),
    "yellowTextColor": ("#7a5600", "#f5d27a"),
}

THEME = {
    "theme.baseRadius": "0.6rem",
    "theme.showWidgetBorder": "true",
    "theme.paddingTop": "1rem",
    "theme.paddingBottom": "3rem",
    **{f"theme.light.{name}": light for name, (light, _) in COLORS.items()},
    **{f"theme.dark.{name}": dark for name, (_, dark) in COLORS.items()},
}

#: The names of these colors in style.css, with the value of the theme.
_IN_STYLE = {"--page": "backgroundColor", "--text": "textColor", "--muted": "grayColor"}


def style() -> str:
    """The page's style, as an element of HTML."""
    light, dark = (
        "".join(f"{name}: {COLORS[option][number]};" for name, option in _IN_STYLE.items()) for number in (0, 1)
    )
    rules = (FILES / "style.css").read_text(encoding="utf-8")
    return f"<style>:root {{{light}}} @media (prefers-color-scheme: dark) {{ :root {{{dark}}} }}\n{rules}</style>"
