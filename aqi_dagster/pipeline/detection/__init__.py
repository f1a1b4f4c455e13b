"""Anomalies: each reading scored by the detector of its sensor, and those that stand out.

Others use :mod:`scoring`, :mod:`progress`, :mod:`anomalies`, :mod:`detectors` and :mod:`retention`.
"""
