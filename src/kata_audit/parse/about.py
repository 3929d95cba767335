"""What a person is told of a dialect or an envelope: a page of the reference is made of each."""

from typing import NamedTuple


class About(NamedTuple):
    """What a person is told of a dialect; its page in the reference is made of this.

    Args:
        producer: Which programs write it, and where it lands.
        versions: Of which versions the grammar holds, and how that is known.
        examples: Lines as they were written; the page shows what becomes of them.
        holes: What it cannot tell, one sentence each.
        source: Where the grammar is from.
    """

    producer: str
    versions: str
    examples: tuple[str, ...]
    holes: tuple[str, ...]
    source: str
