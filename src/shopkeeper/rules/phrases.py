"""The words of a rule's trace in each language: one table, the same slots. Names of fields stay as rules write them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shopkeeper.core.language import Lang


@dataclass(frozen=True, slots=True)
class Phrases:
    """`{}` slots in the order that the comment gives. `on` and `off` follow the name of a condition."""

    missing: str
    always: str
    never: str
    nothing: str
    lacks: str  # name
    known_and: str  # name, goal
    stands: str  # name, value
    compares: str  # what stands, operator, bound
    would: str  # name, operator, bound, value now, how far
    on_bound: str
    more: str  # gap
    less: str  # gap
    now: str  # name, value; a condition follows
    named: str  # name of a rule, why
    one_of: str  # values
    none_of: str  # values
    contains: str  # part
    contains_not: str  # part
    has: str  # key
    has_not: str  # key
    known: str
    absent: str
    true: str
    false: str
    comma: str
    joined: str
    and_more: str  # how many


PHRASES: Mapping[Lang, Phrases] = {
    "en": Phrases(
        missing="missing",
        always="always true",
        never="never true",
        nothing="nothing: the rule says so itself",
        lacks="{} is missing",
        known_and="{} known and {}",
        stands="{} is {}",
        compares="{} ({} {})",
        would="{} {} {} (now {}{})",
        on_bound=", exactly on the bound",
        more=", {} more needed",
        less=", {} less needed",
        now="{} is {}:",
        named="{}: {}",
        one_of=" one of {}",
        none_of=" none of {}",
        contains=" contains {}",
        contains_not=" does not contain {}",
        has=" has {}",
        has_not=" has no {}",
        known=" is known",
        absent=" is missing",
        true=" is true",
        false=" is false",
        comma=", ",
        joined=" and ",
        and_more=" and {} more",
    ),
    "zh": Phrases(
        missing="缺失",
        always="恒成立",
        never="恒不成立",
        nothing="无法改变：规则本身如此",
        lacks="{} 缺失",
        known_and="{} 有值，且 {}",
        stands="{} 为 {}",
        compares="{}（{} {}）",
        would="{} {} {}（现为 {}{}）",
        on_bound="，正好在界限上",
        more="，还需增加 {}",
        less="，还需减少 {}",
        now="{} 为 {}：",
        named="{}：{}",
        one_of=" 属于 {}",
        none_of=" 不属于 {}",
        contains=" 包含 {}",
        contains_not=" 不包含 {}",
        has=" 含有 {}",
        has_not=" 不含 {}",
        known=" 有值",
        absent=" 缺失",
        true=" 为真",
        false=" 为假",
        comma="、",
        joined="，且 ",
        and_more="，另有 {} 项",
    ),
}
