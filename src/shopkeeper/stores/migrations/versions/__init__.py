"""One file a schema change, oldest first. A file that was released is never edited."""
