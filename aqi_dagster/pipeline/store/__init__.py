"""The DuckDB store: a private file with one writer at a time, its schema, its ledger of windows, its published copy.

Others use :mod:`connections`, :mod:`sql`, :mod:`window_ledger`, :mod:`outdated`, :mod:`requirements`, :mod:`due`,
:mod:`restart`, :mod:`restored`, :mod:`portions`, :mod:`columns`, :mod:`comparing` and
:mod:`export`.
"""
