-- Releases before pulled_offsets was there: a row for each pull and partition, from the messages that it took in.
INSERT INTO pulled_offsets BY NAME
SELECT
    topic_generation,
    kafka_partition,
    min(kafka_offset) AS first_offset,
    max(kafka_offset) + 1 AS next_offset,
    count(*) AS messages,
    ingested_at AS pulled_at
FROM (
    SELECT topic_generation, kafka_partition, kafka_offset, ingested_at FROM readings
    UNION ALL
    SELECT topic_generation, kafka_partition, kafka_offset, ingested_at FROM rejected_messages
)
WHERE NOT EXISTS (FROM pulled_offsets)
GROUP BY ALL;
