"""What becomes a version, what it is called, who serves it, and what its gate is worth today."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from msgspec import field

from shopkeeper.core.errors import Conflict, Invalid
from shopkeeper.core.ids import RESERVED_MODEL_NAMES, check_name
from shopkeeper.core.records import FileEntry, Gate, Record, Version
from shopkeeper.quality.gate import held

REMOVED = "removed"
"""The status of a version whose files are gone; its row stays."""


class Live(Record, kw_only=True):
    """What answered at a time: version, since when (microseconds), moved by whom."""

    version: int
    since: int
    by: str


class Answering(Record, kw_only=True):
    """How a model's requests were shared at a moment: version -> share. Times in microseconds."""

    at: int
    shares: dict[int, float]
    since: int
    by: str


class Candidate(Record, kw_only=True):
    """A sealed folder and the facts of its manifest, ready to become a version.

    Without a `label` it is called by the time at which it is registered.
    """

    model: str
    scope: str
    family: str
    algorithm: str
    files: list[FileEntry]
    params: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    feature_names: list[str] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    gate: Gate | None = None
    against: int | None = None
    code_version: str = ""
    label: str = ""


class Server(Protocol):
    """Whoever answers with the versions: gets a look at one before an alias moves, and hears of it afterwards."""

    def prepare(self, version: Version) -> None:
        """Load it beside. Raises when it cannot serve."""
        ...

    def changed(self, model: str, scope: str) -> None: ...


def check_model_name(name: str) -> str:
    """Raises Invalid for a malformed or reserved name."""
    if name in RESERVED_MODEL_NAMES:
        raise Invalid(f"model name {name!r} is reserved; choose another", code="bad_name", field="model")
    return check_name(name, "model")


def gate_now(version: Version, champion: int | None) -> Gate:
    """The stored verdict holds only against the champion that it was measured with."""
    gate = version.gate or Gate(verdict="HOLD", reasons=["it was never measured"])
    if champion is None or champion == version.version or version.data.get("against") == champion:
        return gate
    measured = version.data.get("against")
    than = f"v{measured}" if measured else "no champion"
    why = f"it was measured against {than}, the champion is v{champion}: train again, roll back, or force"
    return held(gate, why)


def check_gate(version: Version, champion: int | None) -> Gate:
    """`gate_now`. Raises Conflict (`gate_says_no`) unless it says PROMOTE."""
    gate = gate_now(version, champion)
    if gate.verdict != "PROMOTE":
        why = f"the gate says {gate.verdict} for {version.model} v{version.version}: {'; '.join(gate.reasons)}"
        raise Conflict(why, code="gate_says_no")
    return gate


def manifest_of(made: Candidate) -> Mapping[str, Any]:
    """The manifest as the version's row keeps it."""
    return {
        "files": [{"name": f.name, "sha256": f.sha256, "bytes": f.bytes} for f in made.files],
        "family": made.family,
        "feature_names": made.feature_names,
        "params": made.params,
        "data": {**made.data, "seed": made.seed, "against": made.against},
        "code_version": made.code_version,
        "label": made.label,
    }
