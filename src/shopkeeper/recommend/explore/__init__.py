"""Exploration: policies that choose with a known chance, what they learn from, and what they are worth."""
