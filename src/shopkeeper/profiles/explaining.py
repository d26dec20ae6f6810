"""Questions why a profile scores as it does: asked on the loop, where the live state is, and answered anywhere.

`ask` reads all that an answer needs, so that `Question.answer` touches nothing that can change meanwhile. Answers are
kept as long as no event came, no rule, field, record or model changed, and at most `FRESH_S` of the shop's clock, as
time alone moves a score too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import cachetools
import numpy as np

from shopkeeper.core.clock import SECOND
from shopkeeper.core.language import Lang
from shopkeeper.core.records import Explanation, Rule
from shopkeeper.features.state import FeatureState
from shopkeeper.profiles.answers import Learned, Question
from shopkeeper.profiles.conditions import Condition, fields_of
from shopkeeper.profiles.families import field_of
from shopkeeper.profiles.fusing import Fusing
from shopkeeper.profiles.fusion.activity import activity
from shopkeeper.profiles.fusion.inputs import Taken, parts
from shopkeeper.profiles.fusion.model import FusionModel
from shopkeeper.profiles.ladder import Level
from shopkeeper.profiles.people import Person
from shopkeeper.profiles.players import Basket
from shopkeeper.profiles.rfm import RfmScale
from shopkeeper.profiles.rulebook import RuleBook
from shopkeeper.profiles.scoring import rules_version
from shopkeeper.profiles.surroundings import Shelf
from shopkeeper.profiles.table import ProfileTable

FRESH_S = 5
MANY_RULES = 300
"""From so many rules on an answer takes so long that it is worked out apart from the loop."""
MOST_KEPT = 100_000
"""Lines (contributions and rule traces) of all answers that are kept."""

Key: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True)
class Kept:
    """An answer with the state that it holds for, as far as that is no key."""

    person: Person
    scale: RfmScale | None
    answer: Explanation


@dataclass(frozen=True)
class Asked:
    """A question, or the answer where it is known. `heavy`: work it out on another thread."""

    key: Key
    person: Person
    scale: RfmScale | None
    question: Question | Explanation
    heavy: bool

    def answer(self) -> Explanation:
        """Any thread. Raises Unavailable when an audit is asked for and shap is not installed."""
        return self.question.answer() if isinstance(self.question, Question) else self.question


class Explaining:
    """Used on one thread, as the profiles are. `fusing` gives the model that has a say now, or None."""

    def __init__(
        self,
        features: FeatureState,
        rulebook: RuleBook,
        catalog: Shelf | None,
        fusing: Callable[[], Fusing | None],
        *,
        most_kept: int = MOST_KEPT,
    ) -> None:
        self._features = features
        self._rulebook = rulebook
        self._catalog = catalog
        self._fusing = fusing
        self._answers: cachetools.LRUCache[Key, Kept] = cachetools.LRUCache(most_kept, getsizeof=_lines)
        self._gone: set[int] = set()  # an answer about one who was erased may be under way on another thread
        self._rules: Sequence[tuple[Rule, Condition]] = ()
        self._rules_version = rules_version([])
        self._editions = 0

    def ask(self, person: Person, table: ProfileTable, k: int, level: Level, lang: Lang) -> Asked:
        """`table`: the one user's, at the moment of the question."""
        rules, fusing, now = self._compiled(), self._fusing(), int(table.source.now)
        state = (self._features.version, self._editions, None if fusing is None else fusing.version)
        key = (person.row, level, lang, k, *state, now // (FRESH_S * SECOND))
        kept = self._answers.get(key)
        if kept is not None and kept.person == person and kept.scale == table.scale:
            return Asked(key, person, table.scale, kept.answer, heavy=False)
        question = Question(
            user_id=person.user_id,
            k=k,
            level=level,
            lang=lang,
            rules=rules,
            rules_version=self._rules_version,
            row=table.row(fields_of(condition for _, condition in rules)),
            learned=None if fusing is None else self._learned(fusing, person.row, table),
        )
        heavy = level == "audit" or fusing is not None or len(rules) >= MANY_RULES
        return Asked(key, person, table.scale, question, heavy)

    def keep(self, asked: Asked, answer: Explanation) -> None:
        """So that the same question is answered at once. One that is too large for the cache is not kept."""
        found = Kept(asked.person, asked.scale, answer)
        if asked.person.row in self._gone:
            return
        if isinstance(asked.question, Question) and _lines(found) <= self._answers.maxsize:
            self._answers[asked.key] = found

    def clear(self) -> int:
        """Forgets all answers. Returns how many there were."""
        had = len(self._answers)
        self._answers.clear()
        return had

    def forget(self, rows: Iterable[int]) -> None:
        """Forgets what was said of these users."""
        gone = frozenset(rows)
        self._gone |= gone
        for key in [key for key in self._answers if key[0] in gone]:
            del self._answers[key]

    def _compiled(self) -> Sequence[tuple[Rule, Condition]]:
        """The rule book makes a new list when a rule or a field has changed: a new edition."""
        rules = self._rulebook.compiled()
        if rules is not self._rules:
            self._rules, self._rules_version = rules, rules_version([rule for rule, _ in rules])
            self._editions += 1
        return rules

    def _learned(self, fusing: Fusing, row: int, table: ProfileTable) -> Learned:
        frame, model = fusing.frame, fusing.model
        taken = parts(frame, self._features, np.array([row]), table.source.now)
        fields = dict.fromkeys(field_of(name) for name in model.activity_names)
        return Learned(
            model=model,
            version=fusing.version,
            basket=self._basket(model, taken),
            activity=(activity(table) - frame.activity_mean) / frame.activity_scale,
            seen=taken.seen,
            values=table.row(frozenset(fields)),
        )

    def _basket(self, model: FusionModel, taken: Taken) -> Basket:
        ids = [model.item_ids[at] for at in taken.at.tolist()]
        names, category = ids, list[str | None]([None] * len(ids))
        if self._catalog is not None:
            rows = taken.item.tolist()  # a product is in the catalogue before an event can name it
            names = [self._catalog.names[row] for row in rows]
            category = [self._catalog.category[row] for row in rows]
        return Basket(
            names=told_apart(names, ids),
            category=tuple(category),
            weight=taken.weight,
            vectors=model.item_vectors[taken.at].astype(np.float64),
        )


def told_apart(names: Sequence[str], ids: Sequence[str]) -> tuple[str, ...]:
    """Names of which no two are the same: those that are shared have the id behind them."""
    shared = {name for name, n in Counter(names).items() if n > 1}
    found: dict[str, None] = {}
    for name, id in zip(names, ids, strict=True):
        one = f"{name} [{id}]" if name in shared else name
        while one in found:
            one += "'"
        found[one] = None
    return tuple(found)


def _lines(kept: Kept) -> int:
    return 1 + len(kept.answer.rule_details) + len(kept.answer.shap_values)
