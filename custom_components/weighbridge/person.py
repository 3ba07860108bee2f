"""What Garmin holds of one person, asked again and again."""

from __future__ import annotations
