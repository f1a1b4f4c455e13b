"""Crashes, spoilt messages and broker faults in large numbers.

`make stress` prints their figures, `make test-long` has the first two as tests, and `make test` a few crashes and the
broker's faults."""
