"""Damages lawful input for the parsers' tests, the same way for the same seed."""

import random
from collections.abc import Callable, Iterator

from hopspan.protowire import WireError


def mutate(samples: list[bytes], seed: int, count: int) -> Iterator[bytes]:
    """Yield `count` inputs: random bytes, and samples cut short, with bytes changed, doubled, moved or taken out."""
    rng = random.Random(seed)  # noqa: S311 - a test's
    for _ in range(count):
        data = bytearray(rng.choice(samples))
        for _ in range(rng.randint(1, 4)):
            _damage(data, rng)
        yield bytes(data) if rng.random() < 0.95 else rng.randbytes(rng.randint(0, 200))


def _damage(data: bytearray, rng: random.Random) -> None:
    start = rng.randint(0, len(data))
    stop = min(len(data), start + rng.choice((1, 1, 2, 8, 64)))
    way = rng.randint(0, 5)
    if way == 0:
        del data[start:]
    elif way == 1:
        del data[start:stop]
    elif way == 2:
        data[start:start] = data[start:stop] * rng.randint(1, 3)
    elif way == 3:
        data[start:stop] = rng.randbytes(stop - start)
    elif way == 4:
        data[start:stop] = rng.choice(_PIECES)
    elif data:
        data[rng.randrange(len(data))] ^= 1 << rng.randint(0, 7)


_PIECES = [
    b"null", b"-1", b"1e9", b"1.5", b'""', b'"\\ud800"', b"[]", b"{}", b"true", b"\xff\xff\xff\xff\x0f", b"\x00",
    b"99999999999999999999", b'"0"', b",", b"[[[[[[[[", b'{"a":', b"\xc3\x28", b"NaN",
]  # fmt: skip


def answers_or_refuses(parse: Callable[[bytes], object], data: bytes) -> bool:
    """Tell whether `data` was taken; any error but WireError is the test's failure."""
    try:
        parse(data)
    except WireError:
        return False
    return True
