"""What a machine may lack that a test needs."""

LACKING = "not on this machine: "
"""How the reason of such a skip begins; :mod:`promises` tells it from others."""


def lacking(what: object) -> str:
    """The reason of a skip, where a machine without ``what`` cannot run the test."""
    return f"{LACKING}{what}"
