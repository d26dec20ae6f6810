"""Every text of the console, in English and Chinese. `say("key")` gives it in the language of the session."""

from __future__ import annotations

import streamlit as st

LANGUAGES = {"en": "English", "zh": "中文"}

WORDS: dict[str, tuple[str, str]] = {
    "tagline": ("Know · Suggest · Stock", "知客 · 荐物 · 备货"),
    "serving": ("Serving", "营业中"),
    "starting": ("Not ready", "未就绪"),
    "unreachable": ("The shop does not answer at {url}: {reason}", "{url} 的店铺没有回应：{reason}"),
    "key_needed": ("This shop asks for an API key.", "此店铺需要 API 密钥。"),
    "key": ("API key", "API 密钥"),
    "shop_time": ("Shop time", "店铺时间"),
    "events": ("Events in the log", "事件总数"),
    "since_open": ("{n} since opened", "打开后 {n}"),
    "customers": ("Customers", "顾客"),
    "products": ("Items", "商品"),
    "cpu": ("CPU", "处理器"),
    "memory": ("Memory", "内存"),
    "last_events": ("Last events", "最新事件"),
    "time": ("Time", "时间"),
    "what": ("Event", "事件"),
    "who": ("Customer", "顾客"),
    "target": ("Target", "对象"),
    "pieces": ("Pieces", "件数"),
    "amount": ("Value", "数值"),
    "unknown_customer": ("(not known)", "（未知）"),
    "customer": ("Customer", "顾客"),
    "product": ("Product", "商品"),
    "find_customer": ("Customer id", "顾客编号"),
    "find_product": ("Product: part of its name, or its code", "商品名称的一部分，或编号"),
    "no_customer": ("No customer {id} in this shop.", "没有编号为 {id} 的顾客。"),
    "no_product": ("No product matches “{q}”.", "没有与“{q}”相符的商品。"),
    "choose_product": ("Product", "商品"),
    "profile": ("Profile", "画像"),
    "no_segments": ("in no segment", "不在任何分群中"),
    "private": ("does not agree to profiling: nothing is worked out", "未同意画像：不做任何推断"),
    "score": ("Score", "得分"),
    "probability": ("as a probability", "换算为概率"),
    "will_order": ("orders within 30 days", "30 天内下单的概率"),
    "attributes": ("Attributes", "属性"),
    "windows": ("Activity by window", "各时间窗内的行为"),
    "window": ("Window", "时间窗"),
    "why": ("Why", "原因"),
    "rules": ("Every rule and what it saw", "每条规则的判断"),
    "change": ("What would change it: {how}", "怎样才会改变：{how}"),
    "slate": ("Suggested now", "此刻推荐"),
    "slate_note": (
        "scenario {scenario} · {ms:.1f} ms · {version}",
        "场景 {scenario} · {ms:.1f} 毫秒 · {version}",
    ),
    "degraded": ("A fallback answered: a model is not serving yet.", "由后备方案作答：有模型尚未上线。"),
    "confidence": ("Likely to buy", "购买可能"),
    "scenario": ("Scenario", "场景"),
    "history": ("Sold", "已售"),
    "forecast": ("Forecast", "预测"),
    "interval": ("{p} % interval", "{p} % 区间"),
    "horizon": ("Days ahead", "预测天数"),
    "forecast_note": ("model {model} v{version}", "模型 {model} v{version}"),
    "beats": ("better than seasonal naive in its backtest", "回测优于季节朴素法"),
    "beats_not": ("not better than seasonal naive in its backtest", "回测未优于季节朴素法"),
    "fallback": ("fallback: {reason}", "后备：{reason}"),
    "next_days": ("Expected, next {n} days", "未来 {n} 天预计"),
    "sold_days": ("Sold, last {n} days", "过去 {n} 天售出"),
    "price": ("Price", "价格"),
    "category": ("Category", "类别"),
    "whole_shop": ("The whole shop", "全店"),
}


def language() -> str:
    return str(st.session_state.get("language", "en"))


def say(key: str, **values: object) -> str:
    """The text in the session's language, with its blanks filled in."""
    text = WORDS[key][list(LANGUAGES).index(language())]
    return text.format(**values) if values else text
