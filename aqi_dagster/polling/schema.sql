-- What a feed remembers, in a file of its own in AQI_DATA_DIR. Only memory.py writes it.

CREATE TABLE IF NOT EXISTS outbox (
    number INTEGER PRIMARY KEY,
    key BLOB NOT NULL,
    value BLOB NOT NULL,
    -- Seconds since 1970 when the brokers had it; NULL as long as they do not.
    sent_at REAL
);

-- The times (seconds since 1970) of the newest readings of each sensor that were taken, comma-separated.
CREATE TABLE IF NOT EXISTS sensors (
    sensor TEXT PRIMARY KEY,
    times TEXT NOT NULL,
    -- What tells readings apart where the time alone does not.
    mark TEXT
);

-- Where the sensors of PurpleAir's API are; place is NULL where it does not say.
CREATE TABLE IF NOT EXISTS places (
    sensor_index INTEGER PRIMARY KEY,
    place TEXT,
    name TEXT,
    location_type TEXT
);

-- What each UTC day cost.
CREATE TABLE IF NOT EXISTS points (
    day TEXT PRIMARY KEY,
    points INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS notes (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
