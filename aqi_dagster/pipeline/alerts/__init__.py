"""Alerts: putting the alerts of the outbox into words and sending them to Slack.

Others use :mod:`dispatch`, :mod:`webhook` and, for the same words elsewhere, :mod:`wording`.
"""
