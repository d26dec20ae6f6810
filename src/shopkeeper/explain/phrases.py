"""The words of an explanation in each language: one table, the same named slots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shopkeeper.core.language import Lang


@dataclass(frozen=True, slots=True)
class Phrases:
    """`players` names what is no rule, item or field; `kinds` has one `{}` for the name of such a thing.

    An item that stands in a score was bought or only looked at: the words are true of both.
    """

    headline: str
    compared: str
    shares: str
    frozen: str
    raised: str
    lowered: str
    because: str
    miss: str
    players: Mapping[str, str]
    kinds: Mapping[str, str]


PHRASES: Mapping[Lang, Phrases] = {
    "en": Phrases(
        headline="Score {score:+.2f} (probability {chance:.0%}): {matched} of {total} rules match.",
        compared="It is compared with the average customer of the training, who scores {base:+.2f}.",
        shares="The rules alone say {f_rule:+.2f}, purchases and behaviour {f_nn:+.2f}; the rules carry {gate:.1%}.",
        frozen="That share is held fixed here; the average customer scores {base:+.2f} with it.",
        raised="{name} raised it by {value:.2f}{because}.",
        lowered="{name} lowered it by {value:.2f}{because}.",
        because=" because {why}",
        miss="{name} ({weight:+.2f}) would match with {change}.",
        players={
            "rules": "Rules",
            "neural": "Behaviour and purchases",
            "rules:spending": "Rules on spending",
            "rules:orders": "Rules on orders",
            "rules:recency": "Rules on recency",
            "rules:activity": "Rules on activity",
            "rules:attributes": "Rules on attributes",
            "activity:short term": "Activity of late",
            "activity:long term": "Activity over a longer time",
            "activity:rhythm": "Recency and rhythm",
            "other items": "Other items",
            "no items": "Nothing bought or looked at yet",
        },
        kinds={"rule": "{}", "activity": "{}", "item": "Interest in {}", "bought": "Interest in {}"},
    ),
    "zh": Phrases(
        headline="得分 {score:+.2f}（概率 {chance:.0%}）：共 {total} 条规则，匹配 {matched} 条。",
        compared="参照对象是训练数据中的平均顾客，其得分为 {base:+.2f}。",
        shares="仅看规则为 {f_rule:+.2f}，仅看行为与购买为 {f_nn:+.2f}；规则占 {gate:.1%}。",
        frozen="此处固定这一比例；按此比例，平均顾客得分为 {base:+.2f}。",
        raised="{name}：得分升高 {value:.2f}{because}。",
        lowered="{name}：得分降低 {value:.2f}{because}。",
        because="，因为 {why}",
        miss="{name}（{weight:+.2f}）的匹配条件尚缺：{change}。",
        players={
            "rules": "规则",
            "neural": "行为与购买",
            "rules:spending": "消费类规则",
            "rules:orders": "订单类规则",
            "rules:recency": "近期性规则",
            "rules:activity": "活跃度规则",
            "rules:attributes": "属性类规则",
            "activity:short term": "近期活动",
            "activity:long term": "长期活动",
            "activity:rhythm": "最近一次活动与节奏",
            "other items": "其他商品",
            "no items": "尚无购买或浏览",
        },
        kinds={"rule": "{}", "activity": "{}", "item": "对 {} 的兴趣", "bought": "对 {} 类商品的兴趣"},
    ),
}
