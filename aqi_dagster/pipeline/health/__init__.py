"""The health of sensors: what each read in a window, whether to believe it, and whether it has a vote.

With it come the levels of regions, hour by hour and at this moment. Others use :mod:`judge_windows`, which judges and
stores it, :mod:`health_table`, where it is stored, :mod:`known_trouble`, which operators record, and
:mod:`sensors_to_judge`; the verdicts use :mod:`comparison`, :mod:`corrected_hours`, :mod:`present` and
:mod:`regional_hours`, too.
"""
