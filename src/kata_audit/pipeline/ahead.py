"""Reading ahead: the next part is read while whoever takes this one waits for an answer from somewhere else."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def ahead(opened: Callable[[], AbstractContextManager[Iterator[T]]]) -> Iterator[Iterator[T]]:
    """Read parts in a thread of their own, at most one more than was asked for.

    Args:
        opened: Opens what gives the parts, none of them None; it is opened, read and closed in that thread alone.

    Raises:
        Exception: Whatever opening or reading raises, where the part would have come.
    """
    with ThreadPoolExecutor(1, "ahead") as worker:
        source = opened()
        parts = worker.submit(source.__enter__).result()
        try:
            yield _each(worker, parts)
        finally:  # behind the part that is being read, if any
            worker.submit(source.__exit__, None, None, None).result()


def _each(worker: ThreadPoolExecutor, parts: Iterator[T]) -> Iterator[T]:
    coming = worker.submit(next, parts, None)
    while (part := coming.result()) is not None:
        coming = worker.submit(next, parts, None)
        yield part
