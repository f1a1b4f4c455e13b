-- Append `decoded` to readings, mark what repeats an earlier reading, and keep the sensors and windows in step. Append
-- `rejected` to rejected_messages.
-- $generation: making of the topic, $now: time of the pull (naive UTC).

-- Only a reading that is not newer than the sensor's last one can have been there before: mostly none is.
CREATE OR REPLACE TEMP TABLE older AS
SELECT decoded.sensor, decoded.created_at, decoded.window_start
FROM decoded JOIN sensors USING (sensor)
WHERE decoded.created_at <= sensors.last_reading;

-- Variables, because what is known before a query is planned keeps it from reading all that was ever stored.
SET VARIABLE first_older = (SELECT min(window_start) FROM older);
SET VARIABLE last_older = (SELECT max(window_start) FROM older);

CREATE OR REPLACE TEMP TABLE repeats AS
WITH first_in_chunk AS (
    SELECT sensor, created_at, min((kafka_partition, kafka_offset)) AS place
    FROM decoded
    GROUP BY ALL
    HAVING count(*) > 1
), stored AS (
    SELECT sensor, created_at
    FROM readings
    WHERE window_start BETWEEN getvariable('first_older') AND getvariable('last_older')
)
SELECT decoded.kafka_partition, decoded.kafka_offset
FROM decoded JOIN first_in_chunk USING (sensor, created_at)
WHERE (decoded.kafka_partition, decoded.kafka_offset) <> first_in_chunk.place
UNION
SELECT decoded.kafka_partition, decoded.kafka_offset
FROM decoded SEMI JOIN (SELECT * FROM older SEMI JOIN stored USING (sensor, created_at)) AS known
    USING (sensor, created_at);

INSERT INTO readings BY NAME
SELECT
    decoded.*,
    repeats.kafka_offset IS NOT NULL AS repeated,
    $generation AS topic_generation,
    $now AS ingested_at
FROM decoded LEFT JOIN repeats USING (kafka_partition, kafka_offset);

INSERT INTO sensors BY NAME
SELECT sensor, min(created_at) AS first_reading, max(created_at) AS last_reading, count(*) AS readings
FROM decoded ANTI JOIN repeats USING (kafka_partition, kafka_offset)
GROUP BY sensor
ON CONFLICT DO UPDATE SET
    first_reading = least(sensors.first_reading, excluded.first_reading),
    last_reading = greatest(sensors.last_reading, excluded.last_reading),
    readings = sensors.readings + excluded.readings;

MERGE INTO windows
USING (
    SELECT window_start, count(*) AS readings
    FROM decoded ANTI JOIN repeats USING (kafka_partition, kafka_offset)
    GROUP BY window_start
) AS arrived
ON windows.window_start = arrived.window_start
WHEN MATCHED THEN UPDATE SET readings = windows.readings + arrived.readings
WHEN NOT MATCHED THEN INSERT (window_start, readings) VALUES (arrived.window_start, arrived.readings);

INSERT INTO rejected_messages BY NAME
SELECT *, $generation AS topic_generation, $now AS ingested_at FROM rejected;
