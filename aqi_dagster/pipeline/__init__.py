"""The work itself, from messages to alerts, in rooms named after what they make; nothing in here knows Dagster.

Each room's ``__init__`` says what it is for and which of its modules others may use.
"""
