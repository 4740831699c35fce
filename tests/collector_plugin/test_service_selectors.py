"""Which services select a pod, compared with asking each of them."""

from hypothesis import given
from hypothesis import strategies as st

from collector_plugin.service_selectors import ServiceSelectors

PAIRS = st.frozensets(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), max_size=4)
CHANGES = st.lists(st.tuples(st.sampled_from("12345"), st.none() | PAIRS))


@given(CHANGES, PAIRS)
def test_same_services_are_found_as_by_asking_each(
    changes: list[tuple[str, frozenset[tuple[str, str]] | None]], labels: frozenset[tuple[str, str]]
) -> None:
    """Whatever was put and removed before: those whose whole selector is among the labels."""
    selectors = ServiceSelectors()
    kept: dict[str, frozenset[tuple[str, str]]] = {}
    for uid, selector in changes:
        kept.pop(uid, None)
        if selector is None:
            selectors.remove(uid)
        else:
            selectors.put(uid, selector, f"service-{uid}")
            kept[uid] = selector
    wanted = [f"service-{uid}" for uid, selector in kept.items() if selector and selector <= labels]
    assert sorted(selectors.find(labels)) == sorted(wanted)
