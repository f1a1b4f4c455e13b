"""``python -m aqi_dagster.polling``: a feed in a process of its own, as the supervisor starts it."""

import os
import threading
import time

from aqi_dagster.polling.commands import feed


def _end_with(parent: int) -> None:
    """End this process once the one that started it is gone: nobody would end it any more."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)


threading.Thread(target=_end_with, args=[os.getppid()], daemon=True).start()
feed()
