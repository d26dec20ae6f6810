"""Agents of Q-learning, a side of the page of recommendations: made, trained, measured and judged."""
