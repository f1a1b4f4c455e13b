"""What people are shown of the stored tables: numbers of windows, plots, and the status of everything.

Others use all of its modules.
"""
