"""From a status and the words of a server or a proxy to our error classes."""
