"""Notify a person of an event, and a monitor of each delivery.

    events.py      the table of events, and what a notice of each says
    send.py        sends notices: asks the courier, within limits
    courier.py     a process of its own, the only place that imports Apprise
    ping.py        pings a monitor such as Healthchecks
    errands.py     work that is done after an answer

Rule: neither a notice nor a ping delays a delivery or makes it fail. The addresses of services and monitors hold
secrets, so they are in no log, message, error or argument of a program.
"""
