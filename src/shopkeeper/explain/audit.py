"""The same game played by the `shap` library: its values beside ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Unavailable
from shopkeeper.core.records import Audit
from shopkeeper.explain.contributions import Contributions


def audit(worth: Callable[[NDArray[np.bool_]], NDArray[np.float64]], ours: Contributions) -> Audit:
    """`worth` takes coalitions bool (m, n) of the players of `ours` and gives float64 (m,).

    shap's exact explainer is given the same function of n switches, all off as its background. Raises Unavailable when
    the library is not installed.
    """
    shap = shap_library()
    n = len(ours.names)

    def switched(rows: NDArray[Any]) -> NDArray[np.float64]:
        return worth(np.asarray(rows, dtype=np.float64) > 0.5)

    masker = shap.maskers.Independent(np.zeros((1, n)), max_samples=1)
    theirs = shap.explainers.Exact(switched, masker)(np.ones((1, n)), silent=True, max_evals=2**n)
    values = np.asarray(theirs.values, dtype=np.float64).reshape(n)
    return Audit(
        library=f"shap {shap.__version__}",
        explainer="Exact",
        shap_values=dict(zip(ours.names, values.tolist(), strict=True)),
        base_value=float(np.asarray(theirs.base_values).reshape(-1)[0]),
        largest_difference=float(np.abs(values - np.array(ours.values)).max(initial=0.0)),
    )


def shap_library() -> Any:
    """The module. Raises Unavailable with what to do."""
    try:
        import shap
    except ImportError as error:
        raise Unavailable(
            "the audit of an explanation needs the library shap, which is not installed: install it with "
            "`pip install 'shopkeeper[shap]'`, or ask for level=groups, which is exact without it",
            code="shap_missing",
        ) from error
    return shap
