"""The outbox: what Slack and other channels are to be told, and what came of it.

This folder alone writes the tables ``slack_alerts``, ``deliveries`` and ``channels``: :mod:`queue` in the transaction
of what is told, :mod:`attempts` as the sender reports, :mod:`channels` when a channel comes or goes; :mod:`due_alerts`
is what the sender reads, and :mod:`moments` are what tells of now.

An alert is a row of ``slack_alerts``, which holds what came of telling Slack, too. What came of telling it to another
channel is a row of ``deliveries``. Each channel has its own memory: what it is told of a window follows from what it
was told of it before, whatever the others were.
"""
