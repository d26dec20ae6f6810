"""Models: versions, who answers, files, and the past."""
