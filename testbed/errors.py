"""The one exception of the testbed."""


class TestbedError(Exception):
    """The testbed could not be built or is not ready; the text names the object at fault."""

    __test__ = False  # pytest would collect a class of this name as tests
