"""Lines as the next version of their writer could write them: mutations of real ones, the same for the same seed.

`json_mutations` and `pair_mutations` give (kind, text): kind `torn` broke the grammar, every other kind kept what the line
says, or added to it. `word_mutations` break prose and its order: what is read of it must still stand where it belongs.
"""

import json
import random
from collections.abc import Iterator

_NEW_NAMES = ("zone", "newKey", "x.y/z", "a b", "trace")
_NEW_VALUES = ("", "1", "a value", 'with "quotes" and \\', "Ünïcode \u202e", "x" * 300, 'level="error" msg="forged"')
COUNT = 30


def json_mutations(text: str, *, seed: int, keep_first: int = 0) -> Iterator[tuple[str, str]]:
    """Mutate one JSON object.

    Args:
        text: The object.
        seed: Of the choices.
        keep_first: How many keys stay in front, as a writer with a fixed order has them.
    """
    chance = random.Random(seed)
    record = json.loads(text)
    for number in range(COUNT):
        kind = ("new key", "order", "blanks", "escapes", "torn")[number % 5]
        items = list(record.items())
        head, tail = items[:keep_first], items[keep_first:]
        if kind == "new key":
            tail.insert(chance.randrange(len(tail) + 1), (chance.choice(_NEW_NAMES), chance.choice(_NEW_VALUES)))
        elif kind == "order":
            chance.shuffle(tail)
        compact = json.dumps(dict(head + tail), separators=(",", ":"), ensure_ascii=kind == "escapes")
        if kind == "blanks":
            compact = json.dumps(record, separators=(", ", ": "), ensure_ascii=False) + " " * chance.randrange(1, 4)
        yield kind, compact[: chance.randrange(1, len(compact))] if kind == "torn" else compact


def pair_mutations(text: str, *, seed: int, quote: str = '"') -> Iterator[tuple[str, str]]:
    """Mutate one line that ends in `key=value` pairs: more pairs, longer values, blanks at the end, a torn end."""
    chance = random.Random(seed)
    for number in range(COUNT):
        kind = ("new pair", "bare pair", "trailing blanks", "torn")[number % 4]
        if kind == "new pair":
            value = chance.choice(_NEW_VALUES).replace("\\", "\\\\").replace('"', '\\"')
            yield kind, f"{text} new{number}={quote}{value}{quote}"
        elif kind == "bare pair":
            yield kind, f"{text} new{number}={chance.randrange(1 << 31)}"
        elif kind == "trailing blanks":
            yield kind, text + " " * chance.randrange(1, 4)
        else:
            yield kind, text[: chance.randrange(1, len(text))]


def word_mutations(text: str, *, seed: int, new: tuple[str, ...] = ("shiny=new", "newly")) -> Iterator[tuple[str, str]]:
    """Mutate a line of words: a torn end, one more blank, a longer word, two words swapped, a new word, a word in quotes."""
    chance = random.Random(seed)
    for number in range(COUNT):
        kind = ("torn", "blank", "longer", "swapped", "new word", "quoted")[number % 6]
        words = text.split(" ")
        place, other = chance.randrange(len(words)), chance.randrange(len(words))
        if kind == "torn":
            yield kind, text[: chance.randrange(1, len(text))]
            continue
        if kind == "blank":
            words.insert(place, "")
        elif kind == "longer":
            words[place] += "x" * chance.randrange(1, 5000)
        elif kind == "swapped":
            words[place], words[other] = words[other], words[place]
        elif kind == "new word":
            words.insert(place, chance.choice(new))
        else:
            words[place] = f'"{words[place]}"'
        yield kind, " ".join(words)
