"""The budget of bytes: what is taken is given back exactly once, and never is more held than there is."""

import random
import threading

from collector_plugin.admission import Admission, Reservation


def test_budget_is_the_limit() -> None:
    """The last byte fits, one more does not; a refusal takes nothing and is counted."""
    admission = Admission(10)
    assert admission.take(4)
    assert admission.take(6)
    assert not admission.take(1)
    assert admission.held_bytes == 10
    assert admission.refused == 1
    admission.give_back(4)
    assert admission.take(4)


def test_what_never_fits_is_told_apart() -> None:
    """A request larger than the whole budget need not come again."""
    admission = Admission(10)
    assert admission.can_ever_fit(10)
    assert not admission.can_ever_fit(11)
    assert admission.has_room(10)
    admission.take(1)
    assert not admission.has_room(10)
    assert admission.refused == 1


def test_reservation_is_released_once() -> None:
    """Every way out of a request may release: the second time has no effect."""
    admission = Admission(10)
    first, second = Reservation(admission), Reservation(admission)
    assert first.grow(3)
    assert first.grow(2)
    assert second.grow(5)
    assert not first.grow(1)
    assert first.held_bytes == 5
    first.release()
    first.release()
    assert admission.held_bytes == 5


def test_released_reservation_holds_nothing_more() -> None:
    """A request that has ended cannot hold bytes that nobody would give back."""
    admission = Admission(10)
    reservation = Reservation(admission)
    reservation.release()
    assert not reservation.grow(1)
    assert admission.held_bytes == 0


def test_many_threads_never_hold_more_than_there_is() -> None:
    """However they meet, the sum stays within the budget, and is nothing in the end."""
    admission = Admission(1_000)
    seen: list[int] = []

    def work(seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311 - sizes, not secrets
        for _ in range(300):
            reservation = Reservation(admission)
            for _ in range(chance.randrange(4)):
                reservation.grow(chance.randrange(400))
            seen.append(admission.held_bytes)
            reservation.release()

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(seen) <= 1_000
    assert admission.held_bytes == 0
    assert admission.refused > 0
