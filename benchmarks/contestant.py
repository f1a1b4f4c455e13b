"""Runs one contestant and prints its figures as JSON: ``python -m benchmarks.contestant NAME SERVERS TOPIC ...``."""

import importlib
import json
import sys
import time

name, *arguments = sys.argv[1:]
module = importlib.import_module(f"benchmarks.{name}")
started = time.monotonic()
figures = module.run(*arguments)
# A contestant that does something before its first fetch tells by itself how long the rest took.
print(json.dumps({"work": time.monotonic() - started} | figures))
