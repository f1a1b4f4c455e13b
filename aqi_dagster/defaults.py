"""The default of each setting that a resource or the pipeline has as well, in the setting's unit.

The detector parameters and the thresholds are those of the streaming notebook.
"""

from typing import Literal

KAFKA_TIMEOUT_SECONDS = 30.0

KAFKA_CHUNK_MESSAGES = 245_760
"""Two row groups of DuckDB, which writes whole row groups once: not to its log before, nor again at a checkpoint."""

FUTURE_ALLOWANCE_MINUTES = 10.0
MAX_REJECTED_SHARE = 0.05

LOCK_TIMEOUT_SECONDS = 3600.0
DUCKDB_MEMORY_MB = 512

DETECTOR_N_TREES = 4
DETECTOR_HEIGHT = 3
DETECTOR_WINDOW_SIZE = 50
DETECTOR_SEED = 11
DETECTOR_LOWER_LIMIT = 0.0
DETECTOR_UPPER_LIMIT = 1200.0
STATES_KEPT_DAYS = 28.0
SCORE_THRESHOLD = 0.7
PM25_THRESHOLD = 50.0

REGION_METHOD: Literal["name"] = "name"
REGION = "Lake Tahoe"
REGION_ELSEWHERE = "Elsewhere"
PURPLEAIR_URL = "https://api.purpleair.com"
NOMINATIM_URL = "https://nominatim.openstreetmap.org"

DIGEST_AFTER_HOURS = 48.0

SILENT_AFTER_HOURS = 6.0

LOOK_MINUTES = 15
LOOKS_KEPT_DAYS = 2.0

LOOK_PATIENCE_SECONDS = 900.0
"""How long a look at the open window waits for the store behind a longer run."""
