"""The programs, loaded for a while."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from node_probe.programs import load_programs
from node_probe.transit import HEADER_FORMATS, ContextFormat


@contextmanager
def loaded_programs(formats: Iterable[ContextFormat] = HEADER_FORMATS) -> Iterator[Mapping[str, int]]:
    """Hold the descriptors of programs and maps by name; close them afterwards, which a program leaves to its end."""
    fds = load_programs(formats)
    try:
        yield fds
    finally:
        for fd in fds.values():
            os.close(fd)
