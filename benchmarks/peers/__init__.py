"""The same model behind other servers, each as its own documentation shows it. Files here run in environments of their
own and import nothing of Shopkeeper; `benchmarks/predictions.py` starts them with MODEL (a folder) and PORT."""
