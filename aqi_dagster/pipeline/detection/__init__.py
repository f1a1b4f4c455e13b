"""Anomalies: each sensor's detector scores its readings, and two thresholds select the anomalies.

Others use :mod:`scoring`, :mod:`progress`, :mod:`anomalies`, :mod:`detectors` and :mod:`retention`.
"""
