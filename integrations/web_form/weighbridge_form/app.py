"""The script that Streamlit runs from top to bottom at each change on the page.

Streamlit does not import it as part of a package, so the page itself is in another module, imported by its full name.

Rule: only `weighbridge form` serves it. `streamlit run` would serve it without the door, to everyone.
"""

from weighbridge_form.page import show

show()
