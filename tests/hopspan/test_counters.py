"""Counters by reason."""

import enum
import threading

from hopspan.counters import Counters


class Fruit(enum.StrEnum):
    """Something to count."""

    APPLE = "apple"
    PEAR = "pear"


def test_every_member_is_there_from_the_start() -> None:
    """A reason that never occurred reads 0, so that dashboards see it before it happens."""
    assert Counters(Fruit).read() == {Fruit.APPLE: 0, Fruit.PEAR: 0}


def test_counts_of_several_threads_add_up() -> None:
    """No count is lost between threads."""
    counters = Counters(Fruit)

    def count() -> None:
        for _ in range(2300):
            counters.add(Fruit.PEAR)
            counters.add(Fruit.APPLE, 2)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counters.read() == {Fruit.APPLE: 18400, Fruit.PEAR: 9200}
