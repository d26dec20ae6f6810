"""Schema migrations, run by `stores/migrate.py`. A new one: `versions/NNNN_what.py`, then change `stores/schema`."""
