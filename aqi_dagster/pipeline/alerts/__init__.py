"""Alerts: what the outbox holds, put into words and sent to Slack.

Others use :mod:`dispatch`, :mod:`webhook` and, for the same words elsewhere, :mod:`wording`.
"""
