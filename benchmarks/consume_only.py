"""Only reading the messages with confluent-kafka: what no consumer in Python can beat."""

from confluent_kafka import Consumer, KafkaError, TopicPartition


def run(servers: str, topic: str) -> dict[str, int]:
    """Read every message's key and value."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "bench",
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
        }
    )
    partitions = list(consumer.list_topics(topic).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    count, ended = 0, 0
    while ended < len(partitions):
        for message in consumer.consume(10_000, 0.5):
            if message.error() is None:
                message.key(), message.value()
                count += 1
            elif message.error().code() == KafkaError._PARTITION_EOF:
                ended += 1
    consumer.close()
    return {"messages": count}
