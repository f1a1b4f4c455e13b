-- Move the offsets of one chunk: `moves` has a row per partition that it read.
-- $topic, $topic_id, $generation: generation of the topic, $now: time of the pull (naive UTC).

DELETE FROM kafka_offsets
WHERE topic_generation = $generation AND kafka_partition IN (SELECT kafka_partition FROM moves);

INSERT INTO kafka_offsets
SELECT $topic, $topic_id, $generation, kafka_partition, next_offset, total_messages, $now FROM moves;

INSERT INTO pulled_offsets
SELECT $generation, kafka_partition, first_offset, next_offset, count_messages, $now
FROM moves
WHERE next_offset > first_offset;
