"""From a checked request to deltas, by rules or by weights."""
