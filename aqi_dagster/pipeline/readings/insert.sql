-- Append `decoded` to readings, and keep the sensors in step; append `rejected` to rejected_messages.
-- $generation: generation of the topic, $now: time of the pull (naive UTC).

INSERT INTO readings BY NAME
SELECT *, $generation AS topic_generation, $now AS ingested_at FROM decoded;

INSERT INTO sensors BY NAME
SELECT sensor, min(created_at) AS first_reading, max(created_at) AS last_reading, count(*) AS readings
FROM decoded
WHERE NOT repeated
GROUP BY sensor
ON CONFLICT DO UPDATE SET
    first_reading = least(sensors.first_reading, excluded.first_reading),
    last_reading = greatest(sensors.last_reading, excluded.last_reading),
    readings = sensors.readings + excluded.readings;

INSERT INTO rejected_messages BY NAME
SELECT *, $generation AS topic_generation, $now AS ingested_at FROM rejected;
