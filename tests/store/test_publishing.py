"""The published copy equals the store byte for byte, whatever the copy before was and whoever has it open."""

import filecmp
import hashlib
import os
import random
import stat
from pathlib import Path

import duckdb
import pytest

from aqi_dagster.pipeline.store.publishing import publish
from aqi_dagster.pipeline.store.written_blocks import BLOCK_SIZE
from tests.support.tables import rows


class House:
    """A private file, its published copy and its spare."""

    def __init__(self, folder: Path) -> None:
        self.private, self.published, self.spare = folder / "store.duckdb", folder / "aqi.duckdb", folder / "spare"

    def publish(self) -> float:
        """Publish; the share of the file that had to be written."""
        publication = publish(self.private, self.published, self.spare)
        assert filecmp.cmp(self.private, self.published, shallow=False)
        assert publication.size == self.private.stat().st_size
        return publication.written / publication.size

    def write(self, statement: str) -> None:
        with duckdb.connect(str(self.private)) as connection:
            connection.execute(statement)


@pytest.fixture
def house(tmp_path: Path) -> House:
    """A store of 16 MB and some, published twice, so that there is a spare."""
    house = House(tmp_path)
    house.write("CREATE TABLE numbers AS SELECT hash(i) AS number FROM range(2_000_000) AS t(i)")
    assert house.publish() == 1
    house.write("CREATE TABLE more AS SELECT 1 AS number")
    assert house.publish() == 1
    return house


def test_only_what_changed_is_written(house: House) -> None:
    house.write("INSERT INTO more SELECT range FROM range(10)")
    assert 0 < house.publish() < 0.2
    assert house.publish() < 0.2
    assert house.publish() == 0


def test_any_change_of_the_bytes_arrives(house: House) -> None:
    chance = random.Random(1)  # noqa: S311 (no secret)
    for _ in range(30):
        with house.private.open("r+b") as file:
            length = file.seek(0, os.SEEK_END)
            for _ in range(chance.randrange(4)):
                file.seek(chance.randrange(length))
                file.write(chance.randbytes(chance.choice([1, 8, BLOCK_SIZE, 3 * BLOCK_SIZE])))
            if chance.random() < 0.3:
                file.truncate(chance.randrange(1, length))
        house.publish()


def test_a_copy_that_somebody_reads_is_left_alone(house: House) -> None:
    with duckdb.connect(str(house.published), read_only=True) as reader:
        assert rows(reader, "SELECT count(*) FROM more") == [(1,)]
        house.write("INSERT INTO more VALUES (2)")
        assert house.publish() < 0.2
        house.write("INSERT INTO more VALUES (3)")
        # The copy that is read is the spare by now.
        assert house.publish() == 1
        house.write("DELETE FROM numbers WHERE number % 2 = 0")
        house.publish()
        assert rows(reader, "SELECT count(*), count(DISTINCT number) FROM numbers") == [(2_000_000, 2_000_000)]
        assert rows(reader, "SELECT count(*) FROM more") == [(1,)]
    house.write("INSERT INTO more VALUES (4)")
    house.publish()
    house.write("INSERT INTO more VALUES (5)")
    assert house.publish() < 1


def test_a_spare_that_is_still_the_published_copy_is_not_written_to(house: House) -> None:
    """As a process leaves it that is killed between linking the spare and replacing the copy."""
    house.spare.unlink()
    house.spare.hardlink_to(house.published)
    before = house.published.stat()
    house.write("INSERT INTO more VALUES (2)")
    with house.published.open("rb") as reader:
        assert house.publish() == 1
        assert os.fstat(reader.fileno()).st_mtime_ns == before.st_mtime_ns
    assert house.published.stat().st_ino != before.st_ino


def test_a_spare_that_was_half_brought_up_to_date_is_thrown_away(house: House) -> None:
    draft = house.published.with_name(".aqi.duckdb.draft")
    house.spare.replace(draft)
    assert house.publish() == 1
    assert not draft.exists()


def test_every_byte_of_a_copy_is_on_disk_before_it_is_published_and_its_name_after(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut keeps what was flushed: each kind of copy, whole or brought up to date, is flushed when complete."""
    flushed: list[tuple[int, bytes | None, int]] = []
    really_flush, draft = os.fsync, house.published.with_name(".aqi.duckdb.draft")

    def flush(descriptor: int) -> None:
        really_flush(descriptor)
        status = os.fstat(descriptor)
        content = None if stat.S_ISDIR(status.st_mode) else hash_of(draft)
        flushed.append((status.st_ino, content, house.published.stat().st_ino))

    monkeypatch.setattr(os, "fsync", flush)
    shares = []
    for number in range(3):
        house.write(f"INSERT INTO more VALUES ({number})")
        if number == 1:
            house.spare.unlink()
        flushed.clear()
        shares.append(house.publish())
        copy, folder = house.published.stat().st_ino, house.published.parent.stat().st_ino
        (inode, content, published), last = flushed
        assert (inode, content) == (copy, hash_of(house.private))
        assert published != copy
        assert last == (folder, None, copy)
    assert shares[1] == 1
    assert max(shares[0], shares[2]) < 1


def hash_of(file: Path) -> bytes:
    """Of what the file holds."""
    return hashlib.sha256(file.read_bytes()).digest()


def test_a_file_system_without_hard_links_gets_whole_copies(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    house.publish()
    assert not house.spare.exists()
    assert house.publish() == 1
