"""What learning needs beside numpy. Serving needs none of it."""

from __future__ import annotations

from collections.abc import Mapping

NEEDS: Mapping[str, str] = {
    "numba": "learning vectors needs numba, which is not installed: pip install numba; what was trained elsewhere "
    "serves without it"
}
