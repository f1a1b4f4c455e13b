-- Append `decoded` to readings, and keep the sensors in step; append `rejected` to rejected_messages.
-- $generation: generation of the topic, $now: time of the pull (naive UTC).

INSERT INTO readings BY NAME
SELECT
    * EXCLUDE (sensor_index, sensor_name, location_type),
    $generation AS topic_generation,
    $now AS ingested_at
FROM decoded;

INSERT INTO sensors BY NAME
SELECT
    sensor,
    min(created_at) AS first_reading,
    max(created_at) AS last_reading,
    count(*) AS readings,
    any_value(sensor_index) AS sensor_index,
    arg_max(sensor_name, created_at) AS name,
    split_part(sensor, ' #', 1) AS place,
    arg_max(location_type, created_at) AS location_type
FROM decoded
WHERE NOT repeated
GROUP BY sensor
ON CONFLICT DO UPDATE SET
    first_reading = least(sensors.first_reading, excluded.first_reading),
    last_reading = greatest(sensors.last_reading, excluded.last_reading),
    readings = sensors.readings + excluded.readings,
    -- The newest word counts, whatever order messages come in.
    name = CASE
        WHEN excluded.last_reading >= sensors.last_reading THEN coalesce(excluded.name, sensors.name)
        ELSE coalesce(sensors.name, excluded.name)
    END,
    location_type = CASE
        WHEN excluded.last_reading >= sensors.last_reading THEN coalesce(excluded.location_type, sensors.location_type)
        ELSE coalesce(sensors.location_type, excluded.location_type)
    END;

INSERT INTO rejected_messages BY NAME
SELECT *, $generation AS topic_generation, $now AS ingested_at FROM rejected;
