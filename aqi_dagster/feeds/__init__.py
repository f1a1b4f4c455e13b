"""Ways into the topic: files of readings, and the producer that sends them.

Others use :mod:`files` and :mod:`producer`.
"""
