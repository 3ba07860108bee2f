"""The web form: a page to send, look at and correct weigh-ins.

    cli.py          `weighbridge form`: starts Streamlit with our options, behind the door
    door.py         who may open the page: hosts, origins, the password; access.py is Cloudflare's Access
    frontend.py     Streamlit's own files, sent quickly
    home_screen.py  the page's icon, its manifest and the head of its document
    app.py          what Streamlit runs
    page.py         the page
    weigh_in.py     the part that types, pastes and sends a weigh-in
    connect.py      the part that signs in to Garmin
    look_back.py    the part that shows, corrects and deletes weigh-ins
    history.py      the part that imports a file
    checklist.py    the part that shows what is left to set up
    answers.py      the function's answers, drawn
    browser.py      what the page keeps in the browser and does there
    words.py        the words of the page, its numbers and dates, in the browser's language; languages/ has the catalogs
    looks.py        the theme, light and dark; looks/ has the style and the icons
    charts.py       weight, fat, muscle and water over time; trend.py has their numbers
    settings.py     the addresses of the functions, by person, their key, and who may open the page
    account.py      a function and a person's account in it, over reused connections
    clock.py        times in the browser's zone
    values.py       pure: typed or pasted text <-> what the function reads and returns; the moving average

Rule: the form knows only the function's HTTP contract and has no rules about values. It sends values as they were typed
and shows problems in the function's words. It stores nothing: values, and a key that a person types, exist only in
the browser's session. A cookie remembers the person, the unit and the height.
"""
