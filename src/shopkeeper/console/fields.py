"""Fields of a form from the server's own description of it: their bounds, defaults and choices are the server's."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console.words import say

Rules = Mapping[str, Mapping[str, Any]]
_JUST_ABOVE = 1e-6
_COLUMNS = 3


def described(shop: ShopkeeperClient, door: str) -> Rules:
    """Field -> its rule, of the body of a door; asked for once a session."""
    held: dict[str, Rules] = st.session_state.setdefault("forms", {})
    if door not in held:
        held[door] = shop.form(door)
    return held[door]


def fields(
    key: str, rules: Rules, names: Collection[str], *, given: Mapping[str, Any] | None = None, columns: int = _COLUMNS
) -> dict[str, Any]:
    """A field for each of `names` that the server knows, beginning with what is `given` or else its default. Fields
    that were left empty are left out of the answer: there the server does what it does by itself."""
    found: dict[str, Any] = {}
    places = st.columns(columns)
    for place, name in enumerate(name for name in names if name in rules):
        rule, optional = _plain(rules[name])
        first = (given or {}).get(name, rule.get("default"))
        with places[place % columns]:
            value = _field(f"{key}_{name}", name, rule, first, optional=optional)
        if value is not None:
            found[name] = value
    return found


def _plain(rule: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    """The rule without its "or null", and whether it had one."""
    for one in rule.get("anyOf", ()):
        if one.get("type") != "null":
            return {**one, "default": rule.get("default")}, True
    return rule, False


def _field(key: str, name: str, rule: Mapping[str, Any], first: Any, *, optional: bool) -> Any:
    label, about = _label(name), _help(name)
    if "enum" in rule:
        return st.selectbox(label, rule["enum"], rule["enum"].index(first), format_func=choice, key=key, help=about)
    if rule.get("type") == "boolean" and optional:
        words = {None: say("by_itself"), True: say("yes"), False: say("no")}
        return st.selectbox(label, list(words), format_func=words.__getitem__, key=key, help=about)
    if rule.get("type") == "boolean":
        return st.toggle(label, bool(first), key=key, help=about)
    return _number(key, label, rule, first, about)


def _number(key: str, label: str, rule: Mapping[str, Any], first: Any, about: str | None) -> Any:
    whole = rule.get("type") == "integer"
    step: Any = 1 if whole else None
    limits: list[Any] = [one if one is None else int(one) if whole else float(one) for one in (*_bounds(rule), first)]
    said: Any = st.number_input(
        label,
        *limits,
        step=step,
        format="%d" if whole else "%g",
        placeholder=say("by_itself"),
        key=key,
        help=about,
    )
    return said


def _bounds(rule: Mapping[str, Any]) -> tuple[float | None, float | None]:
    low, high = rule.get("minimum"), rule.get("maximum")
    if "exclusiveMinimum" in rule:
        low = rule["exclusiveMinimum"] + _JUST_ABOVE
    if "exclusiveMaximum" in rule:
        high = rule["exclusiveMaximum"] - _JUST_ABOVE
    return low, high


def _label(name: str) -> str:
    return _LABELS[name]() if name in _LABELS else name


def _help(name: str) -> str | None:
    return _HELP[name]() if name in _HELP else None


def choice(value: Any) -> str:
    """A value that the server offers, in words."""
    return _CHOICES[value]() if value in _CHOICES else str(value)


_LABELS = {
    "mode": lambda: say("mode"),
    "graph_scope": lambda: say("graph_scope"),
    "sample_ratio": lambda: say("sample_ratio"),
    "random_seed": lambda: say("seed"),
    "seed": lambda: say("seed"),
    "include_edge_timestamp": lambda: say("keep_times"),
    "retrain_epochs": lambda: say("epochs"),
    "epochs": lambda: say("epochs"),
    "fusion_epochs": lambda: say("fusion_epochs"),
    "temperature": lambda: say("temperature"),
    "learning_rate": lambda: say("learning_rate"),
    "lr": lambda: say("learning_rate"),
    "warm_start": lambda: say("warm_start"),
    "sample_size": lambda: say("sample_size"),
    "batch_size": lambda: say("batch_size"),
    "train_ratio": lambda: say("train_ratio"),
    "val_ratio": lambda: say("val_ratio"),
    "negative_ratio": lambda: say("negative_ratio"),
    "training_mode": lambda: say("training_mode"),
    "metis_num_parts": lambda: say("metis_num_parts"),
    "metis_imbalance_factor": lambda: say("metis_imbalance_factor"),
    "metis_seed": lambda: say("metis_seed"),
    "metis_recursive": lambda: say("metis_recursive"),
    "metis_partition_id": lambda: say("metis_partition_id"),
    "agent_type": lambda: say("kind"),
    "states": lambda: say("states"),
    "state_size": lambda: say("state_size"),
    "action_size": lambda: say("action_size"),
    "gamma": lambda: say("discount"),
    "epsilon": lambda: say("epsilon"),
    "epsilon_decay": lambda: say("epsilon_decay"),
    "epsilon_min": lambda: say("epsilon_min"),
    "buffer_size": lambda: say("steps_kept"),
    "replays": lambda: say("replays"),
    "prioritized": lambda: say("prioritized"),
    "priority_alpha": lambda: say("priority_alpha"),
    "priority_beta": lambda: say("priority_beta"),
    "target_every": lambda: say("target_every"),
    "bins": lambda: say("bins"),
    "low": lambda: say("bins_from"),
    "high": lambda: say("bins_to"),
    "initial_value": lambda: say("initial_value"),
    "max_episodes": lambda: say("max_episodes"),
    "patience": lambda: say("agent_patience"),
    "num_episodes": lambda: say("num_episodes"),
    "user_count": lambda: say("customers"),
    "product_count": lambda: say("sim_products"),
    "app_count": lambda: say("sim_apps"),
    "avg_events_per_user": lambda: say("sim_events"),
    "history_days": lambda: say("sim_days"),
    "min_orders_per_user": lambda: say("sim_min_orders"),
    "max_orders_per_user": lambda: say("sim_max_orders"),
    "min_app_usages_per_user": lambda: say("sim_min_app_usages"),
    "max_app_usages_per_user": lambda: say("sim_max_app_usages"),
    "min_calls_per_user": lambda: say("sim_min_calls"),
    "max_calls_per_user": lambda: say("sim_max_calls"),
    "min_click_products_per_user": lambda: say("sim_min_click_products"),
    "max_click_products_per_user": lambda: say("sim_max_click_products"),
    "min_click_apps_per_user": lambda: say("sim_min_click_apps"),
    "max_click_apps_per_user": lambda: say("sim_max_click_apps"),
}
"""Fields that have a name in the languages of the console; any other is shown by the server's own."""
_HELP = {
    "include_edge_timestamp": lambda: say("keep_times_help"),
    "warm_start": lambda: say("warm_start_help"),
    "negative_ratio": lambda: say("negative_ratio_help"),
    "metis_partition_id": lambda: say("metis_partition_id_help"),
    "gamma": lambda: say("discount_help"),
    "epsilon": lambda: say("epsilon_help"),
    "replays": lambda: say("replays_help"),
    "prioritized": lambda: say("prioritized_help"),
    "initial_value": lambda: say("initial_value_help"),
    "patience": lambda: say("agent_patience_help"),
}
_CHOICES = {
    "embedding_only": lambda: say("mode_embed"),
    "full_retrain": lambda: say("mode_retrain"),
    "full": lambda: say("scope_full"),
    "sampled": lambda: say("scope_sampled"),
    "full_graph": lambda: say("whole_graph"),
    "metis_sampling": lambda: say("metis_parts"),
    "tabular": lambda: say("agent_table"),
    "dqn": lambda: say("agent_dqn"),
    "double": lambda: say("agent_double"),
    "dueling": lambda: say("agent_dueling"),
    "vector": lambda: say("states_vector"),
    "index": lambda: say("states_index"),
}
