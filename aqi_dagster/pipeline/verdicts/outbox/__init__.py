"""The outbox: what Slack is to be told, and what came of it.

This folder alone writes the table ``slack_alerts``: :mod:`queue` in the transaction of what is told, :mod:`attempts` as
the sender reports; :mod:`due_alerts` is what it reads.
"""
