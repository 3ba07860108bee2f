"""What Streamlit runs, from top to bottom, at each change on the page. It is no module of a package there, so the page
itself lives beside it."""

from .page import show

show()
