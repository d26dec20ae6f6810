"""One score from rules and learned vectors: will the customer order in the next 30 days, and for how much."""
