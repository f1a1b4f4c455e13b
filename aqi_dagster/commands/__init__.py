"""The commands of ``aqi-dagster``, a module each by their names, and the options that several share.

Only :mod:`~aqi_dagster.cli` uses them.
"""
