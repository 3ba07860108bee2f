"""Years of weigh-ins out of a file, into Garmin Connect.

weighbridge import my-export.csv

table.py        bytes of a CSV or a spreadsheet -> headers and cells
columns.py      headers and cells -> which column says what, and how that is known
times.py        how the times of a file are written
apple_health.py the export of Apple Health -> weigh-ins
read.py         a file of any kind -> readings, row by row
send.py         readings -> the function, over HTTP: checked, sent, reported
cli.py          all that at a terminal
"""
