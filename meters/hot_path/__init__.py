"""The two routes that take one event each, answered without Django's request machinery (docs/decisions/0025).

app.py: the course of a request · doors.py: how each route is read and answered · callers.py: whose key it is ·
catalogue.py: what records are checked against · writer.py: stores what waits, together · link.py: the connection.
Whatever is unusual about a request is handed to Django unchanged.
"""
