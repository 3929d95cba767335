"""The index: what lies in which segment, which facts are known, how far each source was read.

SQLite beside the segments. It is rebuilt from the log and the evidence at any time and is never the truth: one that is
damaged, of another version or of another log is thrown away and made anew. Facts are taken from host rows only (law L7).
"""

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from kata_audit.errors import IndexDamagedError, StoreError
from kata_audit.schema.cursor import Cursor
from kata_audit.schema.event import Action
from kata_audit.schema.fact import FactKind, FactRows
from kata_audit.schema.record import RECORD_SCHEMA, RecordRows
from kata_audit.schema.source import Origin
from kata_audit.store.facts import Fact
from kata_audit.store.statistics import (
    HANDLES,
    MANY,
    SegmentStatistics,
    SourceCount,
    handles_of,
    positions_of,
    sources_of,
    statistics_of,
)

VERSION: Final = 3
"""Version of the tables and of the kinds of facts in them; an index of another one is made anew."""
INDEXED_COLUMNS: Final = tuple(name for name in RECORD_SCHEMA.names if name not in {"raw", "body", "attributes"})
"""Columns that are read of a segment that is new to the index; of one in which a source says what it lost, `attributes` too:
they say how much."""
_BUSY_SECS = 30.0
_MARKS = 5_000
"""Parameters in one statement: below SQLite's default limit of 32,766."""

Link: TypeAlias = Callable[[RecordRows], FactRows]
ReadColumns: TypeAlias = Callable[[str, tuple[str, ...]], Iterable[RecordRows]]
"""Segment name and columns to rows; raises FileNotFoundError for a file that a compaction has just removed."""

_TABLES = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE segments (
  name TEXT NOT NULL UNIQUE, bytes INTEGER NOT NULL, rows INTEGER NOT NULL, tenant TEXT, class TEXT,
  first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL, first_ns INTEGER, last_ns INTEGER,
  untimed INTEGER NOT NULL,
  id INTEGER PRIMARY KEY
);
CREATE TABLE handles (field TEXT, value TEXT, segment INTEGER, PRIMARY KEY (field, value, segment)) WITHOUT ROWID;
CREATE TABLE facts (
  kind TEXT, subject TEXT, node TEXT, boot_id TEXT, object TEXT, seq INTEGER NOT NULL,
  PRIMARY KEY (kind, subject, node, boot_id, object)
) WITHOUT ROWID;
CREATE INDEX facts_object ON facts (kind, object);
CREATE TABLE sources (
  source TEXT, node TEXT, receiver TEXT, records INTEGER NOT NULL, first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL,
  segment INTEGER NOT NULL
);
CREATE TABLE linked (batch INTEGER PRIMARY KEY);
CREATE TABLE positions (
  receiver TEXT, stream TEXT, start INTEGER NOT NULL, length INTEGER NOT NULL, line INTEGER,
  PRIMARY KEY (receiver, stream)
) WITHOUT ROWID;
"""


class LiveFiles(Protocol):
    """What the index needs of the fold over the log."""

    @property
    def origin(self) -> str:
        """The log's name."""
        ...

    @property
    def vkey(self) -> str:
        """The log's verifying key."""
        ...

    @property
    def entries(self) -> int:
        """How many entries were folded."""
        ...

    @property
    def files(self) -> Mapping[str, Any]:
        """Live files by name, each with `bytes` and `batches`."""
        ...


class CaughtUp(NamedTuple):
    """What catching up did: segments read, segments forgotten, whether the index was made anew."""

    read: int
    forgotten: int
    rebuilt: bool


@contextmanager
def open_index(path: Path, *, writable: bool = True) -> Iterator["Index"]:
    """Open the index, or make it where it is missing or damaged.

    Args:
        path: The index file.
        writable: False reads a file that is there, and stands in an empty one in memory where there is none.

    Raises:
        StoreError: The file cannot be opened or made.
    """
    connection = _connect(path) if writable else _connect_read_only(path)
    try:
        yield Index(connection)
    finally:
        connection.close()


def _connect(path: Path) -> sqlite3.Connection:
    try:
        try:
            return _opened(path)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            remove_index(path)
            return _opened(path)
    except (sqlite3.Error, OSError) as error:
        raise StoreError(
            "The index cannot be opened.", where=str(path), hint="Let this user write to the store, or remove the file."
        ) from error


def _connect_read_only(path: Path) -> sqlite3.Connection:
    """Open what is there; a user who may not write the files beside it reads the index as it last stood."""
    for option in ("mode=ro", "mode=ro&immutable=1"):
        with suppress(sqlite3.Error):
            connection = sqlite3.connect(
                f"{path.resolve().as_uri()}?{option}", uri=True, timeout=_BUSY_SECS, isolation_level=None
            )
            if _version_or_none(connection) == VERSION:
                return connection
            connection.close()
    connection = sqlite3.connect(":memory:", isolation_level=None)
    _make_tables(connection)
    return connection


def _version_or_none(connection: sqlite3.Connection) -> int | None:
    try:
        return _version(connection)
    except sqlite3.Error:
        return None


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_SECS, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("BEGIN IMMEDIATE")
        if _version(connection) != VERSION:
            _make_tables(connection)
        connection.execute("COMMIT")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _make_tables(connection: sqlite3.Connection) -> None:
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        connection.execute(f'DROP TABLE "{name}"')  # a name that our own file holds
    for statement in _TABLES.split(";\n"):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {VERSION}")


@contextmanager
def _explained() -> Iterator[None]:
    """Let out only errors of the store."""
    try:
        yield
    except sqlite3.ProgrammingError:  # a defect of ours, not of the file
        raise
    except sqlite3.OperationalError as error:
        hint = "Make room, and let this user read and write the store's index."
        raise StoreError("The index cannot be used.", where=str(error), hint=hint) from error
    except sqlite3.DatabaseError as error:
        hint = "Remove index.sqlite: it holds no evidence and is made anew."
        raise IndexDamagedError("The index is damaged.", hint=hint) from error


def remove_index(path: Path) -> None:
    """Remove an index; the next one to open it makes it anew."""
    for ending in ("", "-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


class Index:
    """The open index. Knows facts (see `store.facts.Facts`), segments and positions.

    Args:
        connection: A connection to tables of `VERSION`.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def catch_up(self, live: LiveFiles, read_columns: ReadColumns, link: Link) -> CaughtUp:
        """Take in the segments that are new, forget those that are gone. Doing it again changes nothing.

        Args:
            live: The fold over the log's entries.
            read_columns: Reads columns of a live segment.
            link: Turns host rows into facts.

        Raises:
            IndexDamagedError: The file is damaged: remove it and begin anew.
            StoreError: The index cannot be written.
        """
        with _explained():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                done = self._catch_up(live, read_columns, link)
            except BaseException:
                with suppress(sqlite3.Error):  # the first failure is the one to tell
                    self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
        return done

    def _catch_up(self, live: LiveFiles, read_columns: ReadColumns, link: Link) -> CaughtUp:
        about = dict(self._connection.execute("SELECT name, value FROM about"))
        log = f"{live.origin} {live.vkey}"
        rebuilt = bool(about) and (about["log"] != log or int(about["entries"]) > live.entries)
        if rebuilt:
            _make_tables(self._connection)
        known = {name for (name,) in self._connection.execute("SELECT name FROM segments")}
        new = [file for name, file in live.files.items() if name not in known]
        read = sum(self._take_in(file, read_columns, link) for file in new)
        gone = known.difference(live.files) if not rebuilt else set()
        self._connection.executemany("DELETE FROM segments WHERE name = ?", [(name,) for name in gone])
        if gone:
            for table in ("handles", "sources"):
                self._connection.execute(f"DELETE FROM {table} WHERE segment NOT IN (SELECT id FROM segments)")  # noqa: S608
        values = [("log", log), ("entries", str(live.entries))]
        self._connection.executemany("INSERT OR REPLACE INTO about VALUES (?, ?)", values)
        return CaughtUp(read, len(gone), rebuilt)

    def _take_in(self, file: Any, read_columns: ReadColumns, link: Link) -> bool:
        """Read one new segment; False where a compaction removed it meanwhile."""
        try:
            table = pa.Table.from_batches(read_columns(file.name, INDEXED_COLUMNS))
            if pc.any(pc.equal(table["action"], str(Action.LOSE_RECORDS))).as_py():
                table = pa.Table.from_batches(read_columns(file.name, (*INDEXED_COLUMNS, "attributes")))
        except FileNotFoundError:
            return False
        number = self._note_segment(statistics_of(file.name, file.bytes, table))
        self._connection.executemany(
            "INSERT OR IGNORE INTO handles VALUES (?, ?, ?)", [(*handle, number) for handle in handles_of(table)]
        )
        self._connection.executemany(
            "INSERT INTO sources VALUES (?, ?, ?, ?, ?, ?, ?)", [(*source, number) for source in sources_of(table)]
        )
        if not self._is_linked(file.batches):
            for batch in table.combine_chunks().to_batches():
                self._note_facts(link(batch.filter(pc.fill_null(pc.equal(batch["origin"], str(Origin.HOST)), False))))
            self._note_positions(positions_of(table))
            self._connection.executemany("INSERT OR IGNORE INTO linked VALUES (?)", [(n,) for n in file.batches])
        return True

    def _is_linked(self, batches: Iterable[int]) -> bool:
        """Say whether facts of all batches were taken in: a compaction states nothing new."""
        found = self._connection.execute
        return all(found("SELECT 1 FROM linked WHERE batch = ?", (n,)).fetchone() for n in batches)

    def _note_segment(self, of: SegmentStatistics) -> int | None:
        return self._connection.execute("INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)", of).lastrowid

    def _note_facts(self, facts: FactRows) -> None:
        columns = (facts.column(name).to_pylist() for name in ("kind", "subject", "node", "boot_id", "object", "seq"))
        rows = (
            (kind, subject, node, boot or "", named, seq)
            for kind, subject, node, boot, named, seq in zip(*columns, strict=True)
        )
        self._connection.executemany(
            "INSERT INTO facts VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET seq = excluded.seq WHERE excluded.seq < seq",
            rows,
        )

    def _note_positions(self, positions: Mapping[tuple[str, str], Cursor]) -> None:
        rows = [
            (receiver, cursor.stream, cursor.offset, cursor.length, cursor.line)
            for (receiver, _), cursor in positions.items()
        ]
        self._connection.executemany(
            "INSERT INTO positions VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " start = excluded.start, length = excluded.length, line = excluded.line"
            " WHERE excluded.start + excluded.length > start + length",
            rows,
        )

    @contextmanager
    def copied(self) -> Iterator["Index"]:
        """Hand out a copy in memory, which may be changed while the file is not."""
        copy = sqlite3.connect(":memory:", isolation_level=None)
        try:
            self._connection.backup(copy)
            yield Index(copy)
        finally:
            copy.close()

    @property
    def applied(self) -> int:
        """How many log entries the index has seen."""
        found = self._ask("SELECT value FROM about WHERE name = 'entries'")
        return int(found[0][0]) if found else 0

    def positions(self) -> dict[tuple[str, str], Cursor]:
        """Give, per receiver and stream, the cursor that ends farthest among sealed records."""
        rows = self._ask("SELECT receiver, stream, start, length, line FROM positions")
        return {(receiver, stream): Cursor(stream, *rest) for receiver, stream, *rest in rows}

    def segments(self) -> dict[str, SegmentStatistics]:
        """Give what is known of each live segment, by name."""
        return {row[0]: SegmentStatistics(*row[:-1]) for row in self._ask("SELECT * FROM segments")}

    def sources(self, names: Collection[str]) -> list[SourceCount]:
        """Count the records of each source in some segments, once for each segment."""
        query = "SELECT name, source, node, receiver, records, sources.first_ns, sources.last_ns FROM sources"
        rows = self._ask(f"{query} JOIN segments ON id = segment")
        return [SourceCount(*row) for name, *row in rows if name in names]

    def holders(self, field: str, values: Collection[str]) -> frozenset[str]:
        """Name the segments in which a record may state one of some values of a field of `HANDLES`."""
        if field not in HANDLES:
            raise RuntimeError(f"{field} is not indexed")
        query = "SELECT DISTINCT name FROM handles JOIN segments ON id = segment WHERE field = ? AND value IN ({})"
        return frozenset(name for (name,) in self._chunked(query, field, [*values, MANY]))

    def values_like(self, field: str, start: str) -> list[str]:
        """Give the values of an indexed field that begin with a text; for finding names by a prefix."""
        query = "SELECT DISTINCT value FROM handles WHERE field = ? AND value >= ? AND value < ?"
        return [value for (value,) in self._ask(query, field, start, start + "\U0010ffff") if value != MANY]

    def of_subjects(self, kind: FactKind, subjects: Collection[str]) -> list[Fact]:
        """Give every fact of a kind about some subjects."""
        query = "SELECT subject, object, node, boot_id, seq FROM facts WHERE kind = ? AND subject IN ({})"
        return [Fact(*row) for row in self._chunked(query, str(kind), subjects)]

    def of_objects(self, kind: FactKind, objects: Collection[str]) -> list[Fact]:
        """Give every fact of a kind that leads to some objects."""
        query = "SELECT subject, object, node, boot_id, seq FROM facts WHERE kind = ? AND object IN ({})"
        return [Fact(*row) for row in self._chunked(query, str(kind), objects)]

    def every(self, kind: FactKind) -> list[Fact]:
        """Give every fact of a kind."""
        query = "SELECT subject, object, node, boot_id, seq FROM facts WHERE kind = ?"
        return [Fact(*row) for row in self._ask(query, str(kind))]

    def subjects_like(self, kind: FactKind, start: str) -> list[Fact]:
        """Give every fact of a kind whose subject begins with a text."""
        query = "SELECT subject, object, node, boot_id, seq FROM facts WHERE kind = ? AND subject >= ? AND subject < ?"
        return [Fact(*row) for row in self._ask(query, str(kind), start, start + "\U0010ffff")]

    def _chunked(self, query: str, first: str, values: Collection[str]) -> Iterator[tuple[Any, ...]]:
        rest = iter(values)
        while chunk := list(islice(rest, _MARKS)):
            yield from self._ask(query.format(", ".join("?" * len(chunk))), first, *chunk)

    def _ask(self, query: str, *parameters: str) -> list[tuple[Any, ...]]:
        with _explained():
            return self._connection.execute(query, parameters).fetchall()
