"""Runs one contestant and prints its figures as JSON: ``python -m benchmarks.contestant NAME SERVERS TOPIC``."""

import importlib
import json
import sys
import time

name, servers, topic = sys.argv[1:]
module = importlib.import_module(f"benchmarks.{name}")
started = time.monotonic()
figures = module.run(servers, topic)
print(json.dumps(figures | {"work": time.monotonic() - started}))
