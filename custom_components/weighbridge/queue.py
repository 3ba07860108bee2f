"""The readings that are on their way to the function, kept on disk from their arrival on.

Rule: a reading is stored before its source is acknowledged, and leaves the store only with a final answer.
"""

from __future__ import annotations
