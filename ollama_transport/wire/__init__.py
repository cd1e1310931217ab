"""Requests and answers as values, and the pure functions between them and bytes."""
