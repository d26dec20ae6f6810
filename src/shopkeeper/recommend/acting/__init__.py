"""Scenarios that ask an agent: what is seen of a visit, which action answers, what came of it and what it is worth."""
