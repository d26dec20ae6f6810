"""Parts of the page of forecasts: what was predicted, stores, products."""
