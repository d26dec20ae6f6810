"""What people, places and things of the simulated shop are called."""

from __future__ import annotations

from typing import Final

PLANS: Final = ("4G basic", "5G plus", "family share", "5G business")
FEES: Final = ((39, 99), (89, 259), (109, 299), (199, 399))
"""Least and most that a plan costs a month."""
LEVELS: Final = ("bronze", "silver", "gold", "platinum")
BRANDS: Final = ("Huawei", "Xiaomi", "Apple", "OPPO", "vivo", "Honor")
REGIONS: Final = (
    "Guangdong", "Jiangsu", "Shandong", "Zhejiang", "Henan", "Sichuan", "Hubei", "Hunan", "Hebei", "Fujian",
)  # fmt: skip

FAMILY: Final = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗高梁郑谢宋唐许韩冯邓曹"
GIVEN: Final = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华文建宁云波宇欣雨佳琪浩然子轩梓涵思远晓东雪梅志国"
FULL_NAMES: Final = len(FAMILY) * len(GIVEN) ** 2


def full_name(number: int) -> str:
    """One of FULL_NAMES: a family name and a given name of two characters."""
    family, given = divmod(number, len(GIVEN) ** 2)
    return FAMILY[family] + GIVEN[given // len(GIVEN)] + GIVEN[given % len(GIVEN)]


MODELS: Final = {
    "Phones": ("Phone", "Phone Pro", "Phone Lite", "Foldable phone"),
    "Audio": ("Earbuds", "Headphones", "Portable speaker", "Neckband"),
    "Wearables": ("Watch", "Fitness band", "Smart ring", "Smart glasses"),
    "Gaming gear": ("Game controller", "Cooling fan", "Gaming headset", "Cloud gaming pass"),
    "Home network": ("Router", "Mesh kit", "Fibre upgrade", "Set-top box"),
    "Family safety": ("Child watch", "Home camera", "Family locator", "Emergency button"),
    "Data packs": ("Data pack", "Night data pack", "Video data pack", "Roaming pack"),
    "Office and travel": ("Tablet", "Travel charger", "Mobile hotspot", "Conference phone"),
}
PRICES: Final = {
    "Phones": 2600.0, "Audio": 380.0, "Wearables": 760.0, "Gaming gear": 240.0,
    "Home network": 320.0, "Family safety": 290.0, "Data packs": 25.0, "Office and travel": 690.0,
}  # fmt: skip
APP_NAMES: Final = {
    "Video": "Screen", "Music": "Tune", "Games": "Quest", "Chat": "Talk", "Finance": "Purse",
    "Shopping": "Basket", "Travel": "Trip", "Learning": "Lesson", "Health": "Pulse", "News": "Daily",
}  # fmt: skip
