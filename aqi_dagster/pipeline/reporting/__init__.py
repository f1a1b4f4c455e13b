"""Reports on the stored tables for people: numbers of windows, plots, and the status of everything.

Others use all of its modules.
"""
