"""What ``aqi-dagster status`` prints of labels, in words."""

from pathlib import Path

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.verdicts.label_files import labels_only_in
from aqi_dagster.pipeline.verdicts.labels import judged_of, read_labels


def label_rows(connection: DuckDBPyConnection, file: Path) -> list[tuple[str, str]]:
    """How many labels there are, whether what they speak of has changed, and which the store lacks of ``file``."""
    labels = read_labels(connection)
    lacking = labels_only_in(file, labels)
    if not labels and not lacking:
        return []
    now = judged_of(connection, [label.subject for label in labels])
    changed = [label for label in labels if now.get(label.subject, label.judged) != label.judged]
    missing = [label for label in labels if label.subject not in now]
    words = [f"{len(labels)}"]
    if changed:
        one = changed[0]
        words.append(
            f"{len(changed)} of what is judged otherwise now, such as {one.subject}: {one.judged} then, "
            f"{now[one.subject]} now"
        )
    if missing:
        words.append(f"{len(missing)} of windows of which nothing is stored, such as {missing[0].subject}")
    rows = [("labels", "; ".join(words))]
    if lacking:
        rows.append(
            (
                "labels to import",
                f"{len(lacking)} that the store lacks, as it was restored or made anew: "
                f"aqi-dagster label --import {file}",
            )
        )
    return rows
