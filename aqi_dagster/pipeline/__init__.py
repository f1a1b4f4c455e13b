"""The work itself, from messages to alerts, in rooms named after what they make; none of them imports Dagster.

Each room's ``__init__`` says what it is for and which of its modules others may use.
"""
