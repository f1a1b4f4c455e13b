"""``python -m aqi_dagster.polling``: what ``aqi-dagster feed`` is, in a process that imports nothing else."""

import os
import threading
import time

from dotenv import load_dotenv

from aqi_dagster.polling.commands import feed
from aqi_dagster.polling.exits import SUPERVISOR


def _end_with(supervisor: int) -> None:
    """End this process once the one that watches it is gone: nobody would end it any more."""
    while os.getppid() == supervisor:
        time.sleep(1)
    os._exit(0)


load_dotenv(".env")
watched_by = os.environ.pop(SUPERVISOR, None)
if watched_by is not None:
    threading.Thread(target=_end_with, args=[int(watched_by)], daemon=True).start()
feed(prog_name="aqi-dagster feed")
