"""Tell a person about an event, and a monitor that deliveries succeed.

    events.py      the table of events, and what a notice of each says
    send.py        sends notices: asks the courier, within limits
    courier.py     a process of its own, the only place that imports Apprise
    ping.py        pings a monitor such as Healthchecks
    errands.py     work that is done after an answer

Rule: what is told never delays or fails a delivery. The addresses of services and monitors hold secrets, so they are in
no log, message, error or argument of a program.
"""
