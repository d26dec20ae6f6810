"""Contract suites: what every registered algorithm, feature, source and store must hold to, built in or not."""
