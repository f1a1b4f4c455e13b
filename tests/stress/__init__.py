"""Crashes, spoilt messages, broker faults and whole lives of installations, in large numbers.

`make stress` prints their figures, `make test-long` has all but the broker's faults as tests, and `make test` a few
crashes, a short life and the broker's faults."""
