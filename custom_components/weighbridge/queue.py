"""The readings that are on their way to the function, kept on disk from their arrival on.

Rule: a reading is stored before anybody is told that it was taken, and leaves the store only with a final answer.
"""

from __future__ import annotations
