"""What a rule may cost. Every bound is checked while the text is read, before anything is computed."""

TEXT_LENGTH = 8_000
"""Characters of a rule."""
DEPTH = 32
"""Brackets within brackets, `not`, signs, and operators below one another."""
NODES = 600
"""Values (those of lists too), fields, operators and calls in one rule."""
LIST_LENGTH = 256
"""Values of one list."""
WORD_LENGTH = 256
"""Characters of one quoted text."""
ARGUMENTS = 8
"""Arguments of min and max."""
