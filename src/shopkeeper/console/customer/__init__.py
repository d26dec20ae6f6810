"""Parts of the page of one customer; each shows one thing and asks only for that."""
