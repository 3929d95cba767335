"""Parts are read in a thread of their own, in order, one more than was asked for, and what is opened there is closed there."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from kata_audit.errors import StoreError
from kata_audit.pipeline.ahead import ahead


class Parts:
    """Parts, and which thread did what; without any they cannot be opened, and the part -1 cannot be read."""

    def __init__(self, *parts: int) -> None:
        self.parts = parts
        self.read: list[int] = []
        self.threads: list[threading.Thread] = []

    @contextmanager
    def opened(self) -> Iterator[Iterator[int]]:
        self.threads.append(threading.current_thread())
        if not self.parts:
            raise StoreError("There is no store.")
        yield self._each()
        self.threads.append(threading.current_thread())

    def _each(self) -> Iterator[int]:
        for one in self.parts:
            self.threads.append(threading.current_thread())
            self.read.append(one)
            if one < 0:
                raise StoreError("It cannot be read.")
            yield one


def test_all_parts_come_in_order_from_one_thread() -> None:
    """Opened, read and closed there."""
    parts = Parts(1, 2, 3)
    with ahead(parts.opened) as coming:
        assert list(coming) == [1, 2, 3]

    assert len(parts.threads) == 5
    assert {threading.current_thread()}.isdisjoint(parts.threads)
    assert len(set(parts.threads)) == 1
    assert not parts.threads[0].is_alive()


def test_no_more_than_one_part_is_ahead() -> None:
    """Whoever stops has read one part for nothing, and all is closed."""
    parts = Parts(1, 2, 3, 4)
    with ahead(parts.opened) as coming:
        assert next(coming) == 1

    assert parts.read == [1, 2]
    assert not parts.threads[-1].is_alive()


def test_what_cannot_be_read_is_said_where_it_would_have_come() -> None:
    """Behind the parts before it."""
    parts, come = Parts(1, -1, 3), list[int]()
    with pytest.raises(StoreError, match="cannot be read"), ahead(parts.opened) as coming:
        come.extend(coming)

    assert come == [1]
    assert parts.read == [1, -1]


def test_what_cannot_be_opened_is_said() -> None:
    """And nothing is left running."""
    parts = Parts()
    with pytest.raises(StoreError, match="no store"), ahead(parts.opened):
        pass

    assert not parts.threads[0].is_alive()
