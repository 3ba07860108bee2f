"""Imports years of weigh-ins from a file into Garmin Connect.

weighbridge import my-export.csv

table.py        bytes of a CSV or a spreadsheet -> headers and cells
columns.py      headers and cells -> what each column means, and how it was recognized
times.py        the formats of times and dates in a file
apple_health.py an Apple Health export -> weigh-ins
read.py         a file of any type -> readings, row by row
limits.py       how much of a file is read
process.py      starts the process that reads a file, and limits it
reader.py       that process
send.py         checks readings, sends them to the function over HTTP, counts the outcomes
cli.py          the command
"""
