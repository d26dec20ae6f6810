"""Online features: what an event writes and what a request reads, one file per family of features."""
