"""Parts of the page of recommendations; each shows one side and asks only for that."""
