"""Vectors of items, words and nodes, learned from what stands near what: sequences, texts, graphs."""
