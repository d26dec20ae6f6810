"""Nets of the house beside those of neuralforecast: the same series, cutoffs, steps, windows a step and lookback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks import record
from benchmarks.forecast_nets import HORIZON, RETAIL, STORE_ITEM, Panel, Run, in_process, ours, panel, quality
from benchmarks.forecast_sets import peer_python
from shopkeeper.quality.forecast import LEVELS

_PACKAGES = ["neuralforecast==3.3.0", "torch==2.13.0", "pandas<3"]
_SCRIPT = Path(__file__).with_name("peers") / "neural_forecast.py"
_LOOKBACK, _STEPS, _WINDOWS, _SEED = 56, 300, 256, 1
_PAIRS = (("kan", "KAN"), ("tcn", "TCN"), ("transformer", "PatchTST"), ("nhits", "NHITS"))
_ALSO = ("kan_optimised", "mlstm", "cnn_bilstm_attention")
_MEASURES = ("wape", "smape", "pinball", "coverage_80")
_TRAINING: dict[str, Any] = {
    "lookback": _LOOKBACK, "batch_size": _WINDOWS, "minutes": 60.0,
    "epochs": 5, "finish": 1, "steps": _STEPS // 6, "patience": 6,
}  # fmt: skip
"""Five passes and the one behind the best of them are as many steps as the peer's."""


def main() -> None:
    python = peer_python("neural_forecast", _PACKAGES)
    tables: list[dict[str, Any]] = []
    for name in (RETAIL, STORE_ITEM):
        on = panel(name)
        found: dict[str, tuple[Run, dict[str, float]]] = {}
        for mine, theirs in _PAIRS:
            for label, made in ((mine, _own(mine, name)), (theirs, _peer(python, theirs, on))):
                found[label] = made, quality(on, made.quantiles)
                _say(name, label, *found[label])
        for mine in _ALSO:
            made = _own(mine, name)
            found[mine] = made, quality(on, made.quantiles)
            _say(name, mine, *found[mine])
        tables += [_pairs(name, found), _all(name, found)]
    record.write(
        "forecast_peers",
        "Forecast nets beside neuralforecast",
        f"{RETAIL} (the busiest before the first cutoff) and {STORE_ITEM} (every fifth); each net learns once, before "
        f"the first of four cutoffs 28 days apart, and forecasts {HORIZON} days from each. Both sides: {_STEPS} steps "
        f"of {_WINDOWS} windows, lookback {_LOOKBACK} days, nine quantiles by pinball loss, seed {_SEED}, one thread, "
        "each run in a process of its own; imports and the installation of the peer are not counted. neuralforecast "
        "3.3.0 with its defaults, except scaler_type=standard (without a scaler it learns little of series of such "
        "different size) and start padding, which it needs for young series; KAN, TCN and NHITS get weekday and day of "
        "the year as known of the future, PatchTST takes none. Ours read calendar, closed days and price by "
        "themselves, serve their best epoch, and their seconds include the export and the calibration of intervals on "
        "later weeks, which the peer does not have. WAPE and SMAPE of the median; pinball over nine quantiles; days "
        "on which the shop was closed are not counted. MB: what the process grew by after its imports and the reading.",
        tables,
    )


def _own(name: str, panel_name: str) -> Run:
    return ours(name, panel_name, _TRAINING, _SEED)


def _peer(python: Path, model: str, on: Panel) -> Run:
    """`y` ends with the last cutoff: the peer gets nothing of what it is measured on after that."""
    last, series = on.cuts[-1], on.series
    given = {
        "model": model, "y": series.y[:, :last], "start": series.start, "first_day": series.first_day,
        "cuts": on.cuts, "horizon": HORIZON, "lookback": _LOOKBACK, "steps": _STEPS, "windows": _WINDOWS,
        "levels": LEVELS, "seed": _SEED,
    }  # fmt: skip
    return in_process([str(python), str(_SCRIPT)], given)


def _pairs(name: str, found: dict[str, tuple[Run, dict[str, float]]]) -> dict[str, Any]:
    rows = []
    for mine, theirs in _PAIRS:
        (made, said), (peer, told) = found[mine], found[theirs]
        shares = [said[measure] / told[measure] for measure in ("wape", "pinball")]
        rows.append([f"{mine} / {theirs}", *shares, made.seconds / peer.seconds, made.peak_mb / peer.peak_mb])
    return {"title": f"{name}: ours / theirs", "columns": ["nets", "WAPE", "pinball", "seconds", "MB"], "rows": rows}


def _all(name: str, found: dict[str, tuple[Run, dict[str, float]]]) -> dict[str, Any]:
    whose = {theirs: f"{theirs} (neuralforecast)" for _, theirs in _PAIRS}
    rows = [
        [whose.get(label, label), *(said[measure] for measure in _MEASURES), made.seconds, made.peak_mb]
        for label, (made, said) in found.items()
    ]
    return {"title": name, "columns": ["net", *_MEASURES, "seconds", "MB"], "rows": rows}


def _say(name: str, label: str, made: Run, said: dict[str, float]) -> None:
    print(name, label, {key: round(said[key], 3) for key in _MEASURES}, round(made.seconds, 1), flush=True)


if __name__ == "__main__":
    main()
