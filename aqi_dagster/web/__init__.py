"""The page for people: where, since when, how bad, and whether to believe it; read-only, on the published copy.

Others use :mod:`server`, which starts it, and :mod:`app`, which makes it. Each page has a module that reads what it
shows (:mod:`now`, :mod:`calendar`, :mod:`window`, :mod:`sensor`, :mod:`alerts`, :mod:`network`) and a template.
"""
