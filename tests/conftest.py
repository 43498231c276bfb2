"""Settings of all tests: property tests are deterministic, each test starts from one seed."""

import pytest
import torch
from hypothesis import HealthCheck, settings

settings.register_profile(
    "auxops",
    max_examples=50,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
settings.load_profile("auxops")


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture
def plain_counts(monkeypatch):
    """Count without a compiler, which would take seconds for each new pair of dtypes."""
    monkeypatch.setenv("MONAI_AUXOPS_COUNTS", "vectorized")
