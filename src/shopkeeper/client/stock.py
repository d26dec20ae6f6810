"""The stock paths: train forecast models, predict, compare, look back; products, stores and their sales."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from shopkeeper.client.wire import Page, Wire, escaped
from shopkeeper.core.records import AlgorithmInfo, Store

T = TypeVar("T")
Plain = dict[str, Any]


class _Envelope(msgspec.Struct, Generic[T]):
    data: T


class _Listed(msgspec.Struct, Generic[T]):
    data: list[T]
    next_cursor: str | None = None
    total: int | None = None


class StockDoors(Wire):
    """One method a door. Answers are taken out of their envelopes."""

    # -- trainings

    def train_forecast(
        self,
        model_type: str,
        *,
        product_id: str | None = None,
        store_id: str | None = None,
        category: str | None = None,
        epochs: int | None = None,
        aggregation: str = "sum",
        hyperparameters: Mapping[str, Any] | None = None,
        start_from: str | None = None,
    ) -> Plain:
        """Begins a training, of everything without an id; gives the task, see `forecast_training`. `start_from`: the
        uid of a version to go on with. Raises Invalid, NotFound, and Busy while the same is trained already."""
        mode = "product" if product_id else "category" if category else "store" if store_id else "global"
        body: Plain = {
            "training_mode": mode,
            "product_id": product_id,
            "store_id": store_id,
            "category": category,
            "model_type": model_type,
            "aggregation_method": aggregation,
            "hyperparameters": dict(hyperparameters or {}),
            "start_from": start_from,
        }
        if epochs is not None:
            body["epochs"] = epochs
        return self.call("POST", "/api/training", _Envelope[Plain], body).data

    def forecast_trainings(self, status: str | None = None) -> list[Plain]:
        """`{task_id, status, progress, current_epoch, total_epochs, metrics, error, model, scope, model_type}`, newest
        first; status is pending, running, completed, failed or cancelled."""
        return self.get("/api/training", _Envelope[list[Plain]], {"status": status}).data

    def forecast_training(self, task_id: str) -> Plain:
        return self.get(f"/api/training/{escaped(task_id)}", _Envelope[Plain]).data

    def cancel_training(self, task_id: str) -> Plain:
        """Raises Conflict when it has ended."""
        return self.call("POST", f"/api/training/{escaped(task_id)}/cancel", _Envelope[Plain]).data

    def training_loss(self, task_id: str) -> list[Plain]:
        """`{epoch, train, val}` of each epoch so far."""
        return self.get(f"/api/training/{escaped(task_id)}/loss", _Envelope[list[Plain]]).data

    # -- predictions

    def predict_sales(
        self,
        model_uid: str | None = None,
        *,
        product_id: str | None = None,
        store_id: str | None = None,
        category: str | None = None,
        model_type: str | None = None,
        version: int | str = "best",
        future_days: int = 7,
        start_date: date | str | None = None,
        history_days: int = 90,
        analyze: bool = False,
    ) -> Plain:
        """A prediction that is kept: `{prediction_id, model_uid, history, predictions, actual, analysis, ...}`. By a
        model's uid, or by what it is of (nothing: everything). A `start_date` in the past: as if asked on that day."""
        mode = "product" if product_id else "category" if category else "store" if store_id else "global"
        body = {
            "model_uid": model_uid,
            "training_mode": mode,
            "product_id": product_id,
            "store_id": store_id,
            "category": category,
            "model_type": model_type,
            "version": version,
            "future_days": future_days,
            "start_date": _day(start_date),
            "history_days": history_days,
            "analyze_result": analyze,
        }
        return self.call("POST", "/api/prediction", _Envelope[Plain], body).data

    def compare_predictions(
        self,
        model_uids: Sequence[str],
        *,
        product_id: str | None = None,
        store_id: str | None = None,
        category: str | None = None,
        future_days: int = 7,
        start_date: date | str | None = None,
        history_days: int = 90,
    ) -> Plain:
        """What 2 to 10 models say of the same days: `{history, actual, predictions{uid}, metrics{uid}, ...}`."""
        body = {
            "model_uids": list(model_uids),
            "product_id": product_id,
            "store_id": store_id,
            "category": category,
            "future_days": future_days,
            "start_date": _day(start_date),
            "history_days": history_days,
        }
        return self.call("POST", "/api/prediction/compare", _Envelope[Plain], body, repeat=True).data

    def prediction_history(
        self,
        *,
        product_id: str | None = None,
        store_id: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Plain]:
        """What was predicted, newest first."""
        query = {"product_id": product_id, "store_id": store_id, "limit": limit, "cursor": cursor}
        return _page(self.get("/api/prediction/history", _Listed[Plain], query))

    def prediction(self, prediction_id: str) -> Plain:
        """As `predict_sales` gave it. `repaired`: its file was lost, and it was made again from its numbers."""
        return self.get(f"/api/prediction/history/{escaped(prediction_id)}", _Envelope[Plain]).data

    def delete_prediction(self, prediction_id: str) -> None:
        self.send_request("DELETE", f"/api/prediction/history/{escaped(prediction_id)}")

    # -- models

    def forecast_types(self) -> list[AlgorithmInfo]:
        """The algorithms that forecast, with the parameters of each."""
        return self.get("/api/models/types", _Envelope[list[AlgorithmInfo]]).data

    def forecast_models(
        self,
        *,
        mode: str | None = None,
        product_id: str | None = None,
        store_id: str | None = None,
        category: str | None = None,
        model_type: str | None = None,
    ) -> list[Plain]:
        """`{model_uid, model_type, training_mode, version, best, model, scope, metrics, ...}` of every version."""
        query = {
            "training_mode": mode,
            "product_id": product_id,
            "store_id": store_id,
            "category": category,
            "model_type": model_type,
        }
        return self.get("/api/models", _Envelope[list[Plain]], query).data

    def forecast_model(self, model_uid: str) -> Plain:
        return self.get(f"/api/models/{escaped(model_uid)}", _Envelope[Plain]).data

    def delete_forecast_model(self, model_uid: str) -> None:
        """Raises Conflict for the best version."""
        self.send_request("DELETE", f"/api/models/{escaped(model_uid)}")

    def export_forecast_model(self, model_uid: str, path: Path) -> int:
        """Writes its archive to `path`, whole or not at all; its bytes."""
        return self.receive_file(f"/api/models/{escaped(model_uid)}/export", path)

    def import_forecast_model(self, path: Path) -> Plain:
        """Registers an exported version; raises Conflict when it is there already."""
        return self.send_file("/api/models/import", path, _Envelope[Plain], {}).data

    # -- products, stores, sales

    def products(self, q: str | None = None, *, limit: int = 50, cursor: str | None = None) -> Page[Plain]:
        return _page(self.get("/api/products", _Listed[Plain], {"q": q, "limit": limit, "cursor": cursor}))

    def product(self, product_id: str) -> Plain:
        """With `data_points`, days with a sale, and the `date_range` that they lie in."""
        return self.get(f"/api/products/{escaped(product_id)}", _Envelope[Plain]).data

    def product_sales(
        self,
        product_id: str,
        *,
        start_date: date | str | None = None,
        end_date: date | str | None = None,
        store_id: str | None = None,
    ) -> list[Plain]:
        """`{date, sales, price, weekday, month, is_weekend, is_holiday, is_promotion, temperature}` a day."""
        query = {"start_date": _day(start_date), "end_date": _day(end_date), "store_id": store_id}
        return self.get(f"/api/products/{escaped(product_id)}/sales", _Envelope[list[Plain]], query).data

    def stores(self) -> list[Store]:
        return self.get("/api/stores", _Envelope[list[Store]]).data

    def store(self, store_id: str) -> Store:
        return self.get(f"/api/stores/{escaped(store_id)}", _Envelope[Store]).data

    def add_store(self, store: Store) -> Store:
        """Raises Conflict when it is there."""
        return self.call("POST", "/api/stores", _Envelope[Store], store).data

    def put_store(self, store: Store) -> Store:
        facts = {name: getattr(store, name) for name in Store.__struct_fields__ if name != "store_id"}
        return self.call("PUT", f"/api/stores/{escaped(store.store_id)}", _Envelope[Store], facts, repeat=True).data

    def delete_store(self, store_id: str) -> None:
        """Raises Conflict for one with sales or stock."""
        self.send_request("DELETE", f"/api/stores/{escaped(store_id)}")

    def store_products(self, store_id: str, *, limit: int = 50, cursor: str | None = None) -> Page[Plain]:
        """What it has sold or has in stock."""
        path = f"/api/stores/{escaped(store_id)}/products"
        return _page(self.get(path, _Listed[Plain], {"limit": limit, "cursor": cursor}))

    def upload_sales(self, path: Path, *, wait: bool = True) -> Plain:
        """Stores daily sales from a csv or xlsx file: `{accepted, rejected, rejects_url, ...}`, or without `wait` the
        job that does it."""
        return self.send_file("/api/data/upload", path, _Envelope[Plain], {}, query={"wait": wait}).data


def _page(listed: _Listed[Plain]) -> Page[Plain]:
    return Page(listed.data, listed.next_cursor, listed.total)


def _day(given: date | str | None) -> str | None:
    return given.isoformat() if isinstance(given, date) else given
