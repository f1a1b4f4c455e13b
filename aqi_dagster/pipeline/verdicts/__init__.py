"""Verdicts: smoke or a malfunctioning sensor, by region and window, and the outbox of what Slack is to be told of them.

Others use :mod:`classify`, :mod:`regional_window`, :mod:`outbox`, :mod:`labels`, :mod:`aqi` and :mod:`implausible`.
"""
