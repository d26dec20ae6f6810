"""`shopkeeper forecast [ITEM]`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from shopkeeper.cli.screen import Screen, with_shop

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from shopkeeper.client import ShopkeeperClient
    from shopkeeper.core.records import Forecast, ForecastPoint, SalesExplanation

_INTERVALS = {50: ("0.25", "0.75"), 80: ("0.1", "0.9"), 90: ("0.05", "0.95"), 95: ("0.025", "0.975")}


@click.command("forecast")
@click.argument("item", required=False)
@click.option("--horizon", default=28, show_default=True, help="Days ahead, 1 to 365.")
@click.option("--store", "store_id", metavar="STORE", help="In one store only.")
@click.option("--category", help="Of all products of a category together.")
@click.option(
    "--model",
    help="Another model, or a version of one: sales_daily_ets, sales_daily/3, sales_daily@previous; or a model_uid.",
)
@click.option("--compare", metavar="UID,UID", help="What 2 to 10 models say, by their model_uid.")
@click.option(
    "--from", "start", metavar="DAY", help="Begin on this day; in the past: as if asked on that day, with what came."
)
@click.option("--explain", is_flag=True, help="What moves the forecast of ITEM, in pieces.")
@click.option("--csv", "as_csv", is_flag=True, help="Print unique_id, ds, the model and its intervals as CSV.")
@with_shop()
def command(
    shop: ShopkeeperClient,
    screen: Screen,
    item: str | None,
    horizon: int,
    store_id: str | None,
    category: str | None,
    model: str | None,
    compare: str | None,
    start: str | None,
    explain: bool,
    as_csv: bool,
) -> None:
    """The pieces of ITEM that will be sold on each coming day; of all items together when ITEM is left out."""
    of: dict[str, Any] = {"product_id": item, "store_id": store_id, "category": category}
    if item is not None and category is not None:
        raise click.UsageError("give ITEM or --category, not both")
    if (compare is not None) + explain + as_csv > 1:
        raise click.UsageError("--compare, --explain and --csv are of different answers; give one")
    if compare is not None:
        if model is not None:
            raise click.UsageError("--compare names the models; leave --model out")
        uids = [uid.strip() for uid in compare.split(",") if uid.strip()]
        told = shop.compare_predictions(uids, **of, future_days=horizon, start_date=start)
        screen.show(told, lambda console: _draw_comparison(console, told))
        return
    if explain:
        if item is None or start is not None:
            raise click.UsageError("--explain needs ITEM, and begins today")
        why = shop.explain_forecast(item, horizon, store_id=store_id, model=model)
        screen.show(why, lambda console: _draw_explanation(console, why))
        return
    if start is not None or _is_uid(model):
        if model is not None and not _is_uid(model):
            raise click.UsageError("--from takes a model_uid, see GET /api/models")
        data = shop.predict_sales(
            model if _is_uid(model) else None, **of, future_days=horizon, start_date=start, history_days=28
        )
        rows = _csv(_id(item, store_id, category), data["model_uid"], _points(data))
        _say(screen, as_csv, rows, data, lambda console: _draw_prediction(console, data))
        return
    found = (
        shop.forecast(item, horizon, store_id=store_id, model=model)
        if item is not None
        else shop.total_forecast(horizon, store_id=store_id, category=category, model=model)
    )
    rows = _csv(_id(item, store_id, category), found.model, found.forecast)
    _say(screen, as_csv, rows, found, lambda console: _draw(console, found))


def _is_uid(model: str | None) -> bool:
    """`product_P001_all_mlstm_v2`; a model's name has an address in another form."""
    return model is not None and model.split("_")[0] in ("product", "store", "category", "global") and "_v" in model


def _say(screen: Screen, as_csv: bool, rows: Iterable[str], value: Any, draw: Any) -> None:
    if not as_csv:
        screen.show(value, draw)
        return
    for row in rows:
        click.echo(row)


def _id(item: str | None, store_id: str | None, category: str | None) -> str:
    """The unique_id that the panel gives it."""
    at = "" if store_id is None else f"@{store_id}"
    if item is not None:
        return item + at
    if category is not None:
        return f"__category:{category}{at}__"
    return "__total__" if store_id is None else f"__store:{store_id}__"


def _csv(unique_id: str, model: str, points: Sequence[ForecastPoint]) -> Iterable[str]:
    """Columns as Nixtla's libraries name them."""
    import csv
    import io

    levels = [f"{model}-{side}-{share}" for share in _INTERVALS for side in ("lo", "hi")]
    lines: list[list[Any]] = [["unique_id", "ds", model, *levels]]
    for point in points:
        ends = [point.quantiles[level] for pair in _INTERVALS.values() for level in pair]
        lines.append([unique_id, point.ds, point.mean, *ends])
    for line in lines:
        text = io.StringIO()
        csv.writer(text, lineterminator="").writerow(line)
        yield text.getvalue()


def _points(data: dict[str, Any]) -> list[ForecastPoint]:
    from shopkeeper.core.records import ForecastPoint

    return [
        ForecastPoint(ds=day["date"], mean=day["predicted_sales"], quantiles=day["quantiles"])
        for day in data["predictions"]
    ]


def _draw(console: Console, found: Forecast) -> None:
    _table(console, found.forecast, {})
    naive = "beats the seasonal naive forecast" if found.beats_naive else "does not beat the seasonal naive forecast"
    fallback = f", fallback: {found.fallback}" if found.fallback else ""
    console.print(f"[dim]{found.model} v{found.version}, {naive}{fallback}[/]")


def _draw_prediction(console: Console, data: dict[str, Any]) -> None:
    _table(console, _points(data), {day["date"]: day["sales"] for day in data["actual"]})
    saw_it = ", which has learned from these days" if data["saw_it"] else ""
    fallback = f", fallback: {data['fallback']}" if data["fallback"] else ""
    console.print(f"[dim]{data['model_uid']}{saw_it}{fallback}; kept as {data['prediction_id']}[/]", soft_wrap=True)


def _table(console: Console, points: Sequence[ForecastPoint], came: dict[str, float]) -> None:
    from rich.table import Table

    more = ("came",) if came else ()
    table = Table("day", "expected", "50 %", "95 %", *more, box=None, header_style="bold")
    for point in points:
        q = point.quantiles
        cells = [
            point.ds,
            f"{point.mean:.1f}",
            f"{q['0.25']:.1f} to {q['0.75']:.1f}",
            f"{q['0.025']:.1f} to {q['0.975']:.1f}",
        ]
        if came:
            cells.append(f"{came[point.ds]:.0f}" if point.ds in came else "")
        table.add_row(*cells)
    console.print(table)
    total = sum(point.mean for point in points)
    console.print(f"in all {total:.0f} pieces in {len(points)} days")


def _draw_comparison(console: Console, told: dict[str, Any]) -> None:
    from rich.table import Column, Table

    table = Table("model", *(Column(name, justify="right") for name in ("pieces", "WAPE", "pinball")), box=None)
    for uid, measures in told["metrics"].items():
        days = told["predictions"].get(uid, [])
        pieces = f"{sum(day['predicted_sales'] for day in days):.0f}" if days else ""
        table.add_row(uid, pieces, *(_number(measures.get(name)) for name in ("wape", "pinball")))
    console.print(table)
    console.print(f"[dim]measured on {'what came' if told['actual'] else 'the holdout of each version'}[/]")


def _draw_explanation(console: Console, why: SalesExplanation) -> None:
    from rich.table import Column, Table

    table = Table("", Column("pieces", justify="right"), box=None)
    table.add_row("usual", f"{why.base_value:.1f}")
    for name in why.names:
        table.add_row(name, f"{why.values[name]:+.1f}")
    table.add_row("forecast", f"{why.total:.1f}")
    console.print(table)
    console.print(why.text, soft_wrap=True)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
