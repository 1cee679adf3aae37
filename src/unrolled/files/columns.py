"""What a column is, once it is read: numbers, or words that nothing was made of yet."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["AnyColumn", "Bools", "Cells", "Floats", "Integers"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Cells = npt.NDArray[np.object_]  # of str
AnyColumn = npt.NDArray[Any]  # Floats, Cells, or datetime64
