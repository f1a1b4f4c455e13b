"""How a feed's process ends."""

GIVEN_UP = 78
"""Exit status of a feed that somebody has to do something about: to start it again would change nothing."""
