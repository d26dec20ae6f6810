"""Parameters that every policy has: which columns of a table are what, and how much is held out."""

from __future__ import annotations

from typing import Annotated

import msgspec

from shopkeeper.core.protocols import Params

_Column = Annotated[str, msgspec.Meta(max_length=200)]


class PolicyParams(Params, kw_only=True):
    """Base of policies' parameters; the family makes the rounds by them. Nothing here changes how a policy learns."""

    arm_column: Annotated[
        _Column, msgspec.Meta(description="Column of a table with the arm; empty: arm, action or item_id")
    ] = ""
    propensity_column: Annotated[
        _Column,
        msgspec.Meta(
            description="Column with the chance the arm was drawn with; empty: propensity, propensity_score or pscore"
        ),
    ] = ""
    slot_column: Annotated[
        _Column, msgspec.Meta(description="Column with the place on the page; empty: slot or position, if there is one")
    ] = ""
    holdout: Annotated[
        float, msgspec.Meta(ge=0.05, le=0.9, description="Share of the newest rounds on which a policy is measured")
    ] = 0.3
