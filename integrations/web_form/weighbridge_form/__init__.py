"""The web form: a page on which a person weighs in, looks back and corrects.

    __main__.py   `python -m integrations.web_form`: Streamlit with our options
    app.py        what Streamlit runs
    page.py       the page
    values.py     pure: what is typed or pasted <-> what the function reads and answers; the moving average
    client.py     the function, over HTTP

Rule: the form knows no more of the function than its HTTP contract, and has no rule of its own about values. What is
typed goes to the function as it was typed, and what is wrong is said in the function's words. It keeps nothing: values
and key live in the browser's session, and end with it.
"""
