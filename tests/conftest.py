"""What every test runs under: one thread, and NaN wherever memory was not written."""

import pytest
import torch
from hypothesis import settings

settings.register_profile("unrolled", deadline=None, print_blob=True, derandomize=True)
settings.load_profile("unrolled")

torch.set_num_threads(1)
# torch.empty() is filled with NaN under deterministic algorithms, so that an output nobody wrote
# cannot pass for a result.
torch.use_deterministic_algorithms(True)
torch.utils.deterministic.fill_uninitialized_memory = True


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
