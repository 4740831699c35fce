"""What the machines' tests share with the testbed's is registered before anything imports it."""

import pytest

pytest.register_assert_rewrite("tests.testbed.hop_rules", "tests.testbed.programs_under_test")
