"""Sockets, the HTTP reader and the connection pool: the code that moves bytes."""
