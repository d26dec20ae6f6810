"""Parts of the page of rules and segments."""
