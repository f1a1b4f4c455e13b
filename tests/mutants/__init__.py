"""Changes to the pipeline's code, one at a time, of which each should make a test fail: ``make mutants``.

cosmic-ray makes those of Python, which need the extra ``mutants``; those of SQL are our own, as no tool knows SQL.
"""
