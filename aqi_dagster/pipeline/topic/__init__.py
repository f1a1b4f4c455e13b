"""The Kafka topic: messages from given offsets to the present end, in batches of bounded memory.

Others use :mod:`reader`, :mod:`batches` and, to make a topic, :mod:`admin`.
"""
