"""The web form: a page on which a person weighs in, looks back and corrects.

    cli.py        `weighbridge form`: Streamlit with our options
    app.py        what Streamlit runs
    page.py       the page
    history.py    the part of it that takes a file of years
    charts.py     weight, fat, muscle and water over time
    settings.py   where the functions are, and whose
    account.py    a function and whose account there, over connections that are kept
    clock.py      times as the person at the page reads them
    values.py     pure: what is typed or pasted <-> what the function reads and answers; the moving average

Rule: the form knows no more of the function than its HTTP contract, and has no rule of its own about values. What is
typed goes to the function as it was typed, and what is wrong is said in the function's words. It keeps nothing: values
and key live in the browser's session, and end with it.
"""
