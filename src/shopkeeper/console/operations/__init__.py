"""Parts of the page of operations."""
