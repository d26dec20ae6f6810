"""What tests of nets share."""

from __future__ import annotations

import numpy as np
from torch import Tensor


def same(found: Tensor, wanted: Tensor, *, atol: float = 1e-5, rtol: float = 1e-5) -> None:
    """`torch.testing` takes seconds to import."""
    np.testing.assert_allclose(found.detach().numpy(), wanted.detach().numpy(), atol=atol, rtol=rtol)
