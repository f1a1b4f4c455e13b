"""Labels as a file: what is exported and imported, and the copy that outlives a store which is wiped or restored."""

import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

from aqi_dagster.errors import LabelError
from aqi_dagster.pipeline.verdicts.labels import OF_REGIONS, Label, Subject, TruthName
from aqi_dagster.windows import parse_key, window_key

NAME = "labels.json"
"""The copy of all labels beside the published copy of the store, written whenever somebody labels."""


def write_labels(path: Path, labels: Iterable[Label]) -> None:
    """Write ``labels`` to ``path``, whole or not at all; :class:`LabelError` if it cannot be written."""
    content = {"labels": [_entry(label) for label in labels]}
    draft = path.with_name(f"{path.name}.part")
    try:
        draft.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")
        draft.replace(path)
    except OSError as error:
        raise LabelError(f"{path} cannot be written: {error.strerror or error}.") from error


def read_label_file(path: Path) -> list[Label]:
    """The labels in ``path``; :class:`LabelError` if it is of another form."""
    try:
        return parse_labels(json.loads(path.read_text("utf-8")))
    except OSError as error:
        raise LabelError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LabelError(
            f"{path} holds no labels ({error!r}); `aqi-dagster label --export` writes what can be imported."
        ) from error


def parse_labels(content: Any) -> list[Label]:
    """The labels in the decoded JSON of such a file; ``ValueError`` and the like if it is of another form."""
    return [_label(entry) for entry in content["labels"]]


def labels_only_in(file: Path, stored: Iterable[Label]) -> list[Label]:
    """The labels of ``file`` whose subjects have none among those ``stored``; none if there is no such file."""
    subjects = {label.subject for label in stored}
    return [label for label in read_label_file(file) if label.subject not in subjects] if file.exists() else []


def _entry(label: Label) -> dict[str, str | None]:
    subject = {"region": label.subject.region} if label.subject.region else {"sensor": label.subject.sensor}
    return {
        "window": window_key(label.subject.window_start),
        **subject,
        "truth": label.truth,
        "judged": label.judged,
        "note": label.note,
        "labelled_at": label.labelled_at.isoformat(),
    }


def _label(entry: Any) -> Label:
    subject = Subject(parse_key(entry["window"]), str(entry.get("region") or ""), str(entry.get("sensor") or ""))
    truth, judged, note = entry["truth"], str(entry["judged"]), entry.get("note")
    if bool(subject.region) == bool(subject.sensor):
        raise ValueError("a label is of either a region or a sensor")
    if truth not in get_args(TruthName) or (truth in ("smoke", "no smoke")) != bool(subject.region):
        raise ValueError(f"{truth!r} is no truth of it")
    at = datetime.fromisoformat(entry["labelled_at"])
    if at.tzinfo is not None or (note is not None and not isinstance(note, str)):
        raise ValueError(f"no label: {entry}")
    if subject.region and judged not in OF_REGIONS:
        raise ValueError(f"{judged!r} is no verdict")
    return Label(subject, truth, judged, note, at)
