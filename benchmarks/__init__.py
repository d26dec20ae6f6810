"""`make bench-NAME` runs `benchmarks/NAME.py`, which writes `results/NAME.json`; RESULTS.md is made from these."""
