"""Ways into the topic: files of readings, and the producer that sends them.

Others use :mod:`feed`, which reads files of every kind, :mod:`summary`, :mod:`messages` and :mod:`producer`.
"""
