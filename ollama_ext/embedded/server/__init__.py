"""The ASGI application and the thread that serves it."""
