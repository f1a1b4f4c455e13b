"""Readings: what the topic holds beyond the stored offsets, into the store, each message exactly once.

Others use :mod:`pull`, :mod:`retake`, :mod:`offsets`, :mod:`accounting` and :mod:`silent_sensors`.
"""
