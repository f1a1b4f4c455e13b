"""How a feed's process ends."""

GIVEN_UP = 78
"""Exit status of a feed that somebody has to do something about: to start it again would change nothing."""

SUPERVISOR = "FEED_SUPERVISOR"
"""Name in the environment of a feed's process for the number of the process that watches it, and with which it ends."""
