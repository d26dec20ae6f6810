"""What an agent is told when it is made, and what of it must go together."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Meta, Struct, field

from shopkeeper.core.errors import Invalid

AgentType: TypeAlias = Literal["tabular", "dqn", "double", "dueling"]
TABLE_RATE: Final = 0.1
NET_RATE: Final = 0.001
"""A net moves all its values with every step: the rate of a table would throw it about."""
MOST_STATES: Final = 100_000
"""Rows of a table: what a table meets beyond them it values as `initial_value` and does not learn."""
MOST_NUMBERS: Final = 2_000_000
"""Of the replay buffer: steps x numbers of two states."""
MOST_CELLS: Final = 2_000_000
"""Values of a table, all rows and actions."""
MOST_KEYS: Final = 8_000_000
"""Numbers by which a table knows its states, all rows and the width of a state; four bytes each."""
MOST_PARAMETERS: Final = 500_000
"""Of a net; four numbers are kept for each."""


class AgentConfig(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """`states`: a `vector` of `state_size` numbers, or an `index`: one whole number below `state_size`. A table cuts
    each number of a vector into `bins` between `low` and `high`. `dueling` learns by double targets, too.
    `learning_rate` null: 0.1 of a table, 0.001 of a net. The chance of a random action begins at `epsilon` and falls by
    `epsilon_decay` an episode, not below `epsilon_min`. `replays`: how many kept steps a table learns again after each
    new one, null: `batch_size`; 0 is the textbook's table."""

    agent_type: AgentType = "tabular"
    states: Literal["vector", "index"] = "vector"
    state_size: Annotated[int, Meta(ge=1, le=4096)] = 16
    action_size: Annotated[int, Meta(ge=2, le=256)] = 4
    learning_rate: Annotated[float, Meta(gt=0, le=1)] | None = None
    gamma: Annotated[float, Meta(ge=0, le=1)] = 0.95
    epsilon: Annotated[float, Meta(ge=0, le=1)] = 0.1
    epsilon_decay: Annotated[float, Meta(gt=0, le=1)] = 0.995
    epsilon_min: Annotated[float, Meta(ge=0, le=1)] = 0.01
    buffer_size: Annotated[int, Meta(ge=1, le=100_000)] = 10_000
    batch_size: Annotated[int, Meta(ge=1, le=1024)] = 32
    replays: Annotated[int, Meta(ge=0, le=1024)] | None = None
    prioritized: bool = False
    priority_alpha: Annotated[float, Meta(ge=0, le=1)] = 0.6
    priority_beta: Annotated[float, Meta(ge=0, le=1)] = 0.4
    target_every: Annotated[int, Meta(ge=1, le=100_000)] = 200
    hidden: Annotated[list[Annotated[int, Meta(ge=1, le=512)]], Meta(min_length=1, max_length=3)] = field(
        default_factory=lambda: [64, 64]
    )
    bins: Annotated[int, Meta(ge=1, le=256)] = 4
    low: Annotated[float, Meta(ge=-1e6, le=1e6)] = 0.0
    high: Annotated[float, Meta(ge=-1e6, le=1e6)] = 1.0
    initial_value: Annotated[float, Meta(ge=-1e6, le=1e6)] = 0.0
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 42

    @property
    def tabular(self) -> bool:
        return self.agent_type == "tabular"

    @property
    def rate(self) -> float:
        """The learning rate that counts."""
        return self.learning_rate or (TABLE_RATE if self.tabular else NET_RATE)

    @property
    def again(self) -> int:
        """How many kept steps a table learns again after each new one."""
        return self.batch_size if self.replays is None else self.replays

    @property
    def width(self) -> int:
        """Numbers of one state as it is told."""
        return 1 if self.states == "index" else self.state_size

    @property
    def rows(self) -> int:
        """So many states a table may come to have."""
        there_are = self.state_size if self.states == "index" else self.bins ** min(self.width, 32)
        return min(there_are, MOST_STATES, MOST_CELLS // self.action_size)


def check(config: AgentConfig) -> AgentConfig:
    """Raises Invalid, with the field, for what does not go together or would not fit."""
    if config.low >= config.high:
        raise Invalid(f"low is {config.low:g} and high {config.high:g}: low must be below high", field="low")
    if config.epsilon_min > config.epsilon:
        raise Invalid(
            f"epsilon_min is {config.epsilon_min:g}, above epsilon {config.epsilon:g}; set it at or below",
            field="epsilon_min",
        )
    if config.tabular and config.prioritized and not config.again:
        raise Invalid("a table that replays nothing has no priorities: set replays, or leave prioritized out",
                      field="prioritized")  # fmt: skip
    if not config.tabular and config.replays:
        raise Invalid("replays is for tables; a net learns a batch of batch_size after each step", field="replays")
    if config.batch_size > config.buffer_size:
        raise Invalid(
            f"a batch of {config.batch_size} does not fit into a buffer of {config.buffer_size}", field="batch_size"
        )
    if 2 * config.width * config.buffer_size > MOST_NUMBERS:
        raise Invalid(
            f"{config.buffer_size} steps of {config.width} numbers do not fit into a buffer of {MOST_NUMBERS} numbers; "
            "make buffer_size or state_size smaller",
            field="buffer_size",
        )
    if config.tabular and (numbers := config.rows * config.width) > MOST_KEYS:
        raise Invalid(
            f"a table of up to {config.rows} states of {config.width} numbers would keep {numbers} of them, at most "
            f"{MOST_KEYS} fit; make state_size or bins smaller, or take a net (dqn, double, dueling)",
            field="state_size",
        )
    if not config.tabular and (size := _parameters(config)) > MOST_PARAMETERS:
        raise Invalid(
            f"a net of {size} parameters is larger than {MOST_PARAMETERS}; make hidden or state_size smaller",
            field="hidden",
        )
    return config


def _parameters(config: AgentConfig) -> int:
    """About how many a net would have."""
    sizes = [config.state_size, *config.hidden, config.action_size]
    return sum((rows + 1) * columns for rows, columns in pairwise(sizes))
