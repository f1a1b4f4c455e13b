"""Crashes, spoilt messages and broker faults in large numbers: `make stress`. A few crashes run with the tests."""
