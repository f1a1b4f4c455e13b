-- Keep what Slack was told, so that a correction can say what changed.
ALTER TABLE slack_alerts ADD COLUMN told VARCHAR;
COMMENT ON COLUMN slack_alerts.told IS 'What Slack was told: sensors, anomalies, since when, how high, and why; NULL until it was sent';

-- Say of the index that it goes on above 500.
COMMENT ON COLUMN corrected_readings.aqi_of_reading IS 'US AQI (breakpoints of May 2024) that a whole day of pm25_corrected would have, without upper end: above 500 is beyond the AQI; the AQI proper is of 24-hour averages';
COMMENT ON COLUMN regional_windows.aqi_of_max IS 'US AQI that a whole day of max_pm25_corrected would have, without upper end: above 500 is beyond the AQI; the AQI proper is of 24-hour averages';
COMMENT ON COLUMN smoke_spells.aqi_of_max IS 'Greatest regional_windows.aqi_of_max; above 500 is beyond the AQI';

UPDATE schema_version SET version = 3;
