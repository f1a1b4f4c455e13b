-- Keep what Slack was told, so that a correction can say what changed.
ALTER TABLE slack_alerts ADD COLUMN told VARCHAR;
COMMENT ON COLUMN slack_alerts.told IS 'What Slack was told: sensors, anomalies, since when, how high, and why; NULL until it was sent';

UPDATE schema_version SET version = 3;
