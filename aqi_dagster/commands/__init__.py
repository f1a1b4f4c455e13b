"""The longer commands of ``aqi-dagster``, a module each, and the options that several share.

Only :mod:`~aqi_dagster.cli` uses them.
"""
