"""Tools for threads, event loops and forks: locks, gates, and work that is done once."""
