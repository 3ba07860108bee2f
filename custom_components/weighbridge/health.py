"""The function's health and the sign-ins, asked again and again."""

from __future__ import annotations
