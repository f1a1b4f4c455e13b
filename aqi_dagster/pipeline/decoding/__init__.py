"""What a message must look like to become a reading, and the fast way to find out.

Others use :mod:`decode` for batches, and :mod:`definition`, which alone says what is a reading and what is rejected.
"""
