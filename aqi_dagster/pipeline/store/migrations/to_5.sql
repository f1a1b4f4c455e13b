-- Sensors had no index before: what identified them was their place.
UPDATE sensors SET place = sensor WHERE place IS NULL;

-- Whatever there are of verdicts, the notebook rules reached them.
INSERT INTO rule_changes SELECT 'notebook', min(window_start) FROM windows HAVING count(*) > 0;

-- White space makes no other sensor any more: each place gets its one spelling.
CREATE TEMP TABLE respelled AS
SELECT sensor, regexp_replace(regexp_replace(sensor, '[\s\v]*,[\s\v]*', ', '), '^[\s\v]+|[\s\v]+$', '', 'g') AS spelled
FROM sensors
WHERE sensor <> spelled;

-- Those that thereby become one with another.
CREATE TEMP TABLE joined AS
SELECT spelled
FROM (SELECT spelled FROM respelled UNION ALL SELECT sensor FROM sensors ANTI JOIN respelled USING (sensor))
GROUP BY spelled
HAVING count(*) > 1;

UPDATE readings SET sensor = spelled FROM respelled WHERE readings.sensor = respelled.sensor;
UPDATE scored_readings SET sensor = spelled FROM respelled WHERE scored_readings.sensor = respelled.sensor;
UPDATE anomalies SET sensor = spelled FROM respelled WHERE anomalies.sensor = respelled.sensor;
UPDATE detector_states SET sensor = spelled FROM respelled WHERE detector_states.sensor = respelled.sensor;

DELETE FROM sensor_regions
WHERE sensor IN (SELECT sensor FROM respelled) AND EXISTS (
    SELECT 1
    FROM sensor_regions AS other, respelled
    WHERE
        respelled.sensor = sensor_regions.sensor
        AND other.method = sensor_regions.method
        AND other.rowid < sensor_regions.rowid
        AND (other.sensor = spelled OR other.sensor IN (
            SELECT also.sensor FROM respelled AS also WHERE also.spelled = respelled.spelled
        ))
);
UPDATE sensor_regions SET sensor = spelled FROM respelled WHERE sensor_regions.sensor = respelled.sensor;

UPDATE regional_windows
SET sensors = list_sort(list_distinct(list_transform(
    sensors, lambda sensor: regexp_replace(regexp_replace(sensor, '[\s\v]*,[\s\v]*', ', '), '^[\s\v]+|[\s\v]+$', '', 'g')
)))
WHERE list_has_any(sensors, (SELECT coalesce(list(sensor), []) FROM respelled));

-- Of joined sensors, a repeated (sensor, created_at) counts once: the first one pulled.
CREATE TEMP TABLE counted AS
SELECT topic_generation, kafka_partition, kafka_offset
FROM readings
WHERE sensor IN (FROM joined)
QUALIFY row_number() OVER (
    PARTITION BY sensor, created_at ORDER BY ingested_at, topic_generation, kafka_partition, kafka_offset
) = 1;

UPDATE readings
SET repeated = (topic_generation, kafka_partition, kafka_offset) NOT IN (FROM counted)
WHERE sensor IN (FROM joined);

CREATE TEMP TABLE spelled_sensors AS
SELECT
    sensor,
    min(created_at) AS first_reading,
    max(created_at) AS last_reading,
    count(*) AS readings,
    sensor AS place
FROM readings
WHERE NOT repeated AND sensor IN (SELECT spelled FROM respelled)
GROUP BY sensor;
DELETE FROM sensors WHERE sensor IN (SELECT sensor FROM respelled) OR sensor IN (SELECT sensor FROM spelled_sensors);
INSERT INTO sensors BY NAME FROM spelled_sensors;

-- From the first window of a joined sensor on, all scores are to be made anew, over what is there: its windows hold
-- fewer readings now.
UPDATE windows
SET readings = (
    SELECT count(*) FROM readings WHERE readings.window_start = windows.window_start AND NOT readings.repeated
)
WHERE window_start IN (SELECT window_start FROM readings WHERE sensor IN (FROM joined));
UPDATE windows
SET
    scored = NULL,
    revision = NULL,
    parameters_hash = NULL,
    selected = NULL,
    classified = NULL,
    chain_start = NULL
WHERE readings > 0 AND window_start >= (SELECT min(window_start) FROM readings WHERE sensor IN (FROM joined));

DROP TABLE spelled_sensors;
DROP TABLE counted;
DROP TABLE joined;
DROP TABLE respelled;
