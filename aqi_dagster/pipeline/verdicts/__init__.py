"""Verdicts: smoke or a malfunctioning sensor, by region and window, and the outbox of what Slack is to be told of them.

Others use :mod:`classify_windows`, :mod:`look`, :mod:`conditions`, :mod:`rule_sets`, :mod:`notebook_rules`,
:mod:`regional_window`, :mod:`outbox`, :mod:`labels`, :mod:`label_files` and :mod:`implausible`.
"""
