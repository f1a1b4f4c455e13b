-- Append `decoded` to readings, and keep the sensors in step; append `rejected` to rejected_messages.
-- $generation: generation of the topic, $now: time of the pull (naive UTC).

INSERT INTO readings BY NAME
SELECT
    * EXCLUDE (sensor_index, sensor_name, location_type),
    $generation AS topic_generation,
    $now AS ingested_at
FROM decoded;

-- What a message says of its sensor counts by the message's own time, and of two at the same time the greater: so it
-- depends neither on the order of messages nor on the chunks they come in. Repeated readings count here, because which
-- of two is the repeated one does depend on the order.
INSERT INTO sensors BY NAME
WITH reported AS (
    SELECT
        sensor,
        min(created_at) AS first_reading,
        max(created_at) AS last_reading,
        count(*) FILTER (NOT repeated) AS readings,
        any_value(sensor_index) AS sensor_index,
        split_part(sensor, ' #', 1) AS place,
        max({'told_at': created_at, 'is': sensor_name}) FILTER (sensor_name IS NOT NULL) AS name,
        max({'told_at': created_at, 'is': location_type}) FILTER (location_type IS NOT NULL) AS location_type
    FROM decoded
    GROUP BY sensor
)
SELECT
    * REPLACE (name.is AS name, location_type.is AS location_type),
    name.told_at AS name_told_at,
    location_type.told_at AS location_type_told_at
FROM reported
ON CONFLICT DO UPDATE SET
    first_reading = least(sensors.first_reading, excluded.first_reading),
    last_reading = greatest(sensors.last_reading, excluded.last_reading),
    readings = sensors.readings + excluded.readings,
    name = CASE
        WHEN excluded.name IS NULL THEN sensors.name
        WHEN sensors.name_told_at IS NULL THEN excluded.name
        WHEN (excluded.name_told_at, excluded.name) > (sensors.name_told_at, sensors.name) THEN excluded.name
        ELSE sensors.name
    END,
    name_told_at = greatest(sensors.name_told_at, excluded.name_told_at),
    location_type = CASE
        WHEN excluded.location_type IS NULL THEN sensors.location_type
        WHEN sensors.location_type_told_at IS NULL THEN excluded.location_type
        WHEN (excluded.location_type_told_at, excluded.location_type)
            > (sensors.location_type_told_at, sensors.location_type) THEN excluded.location_type
        ELSE sensors.location_type
    END,
    location_type_told_at = greatest(sensors.location_type_told_at, excluded.location_type_told_at);

INSERT INTO rejected_messages BY NAME
SELECT *, $generation AS topic_generation, $now AS ingested_at FROM rejected;
