"""What Streamlit runs, from top to bottom, at each change on the page. To Streamlit this is a script and no module of a
package, so the page lives beside it, in a module that is named in full."""

from weighbridge_form.page import show

show()
