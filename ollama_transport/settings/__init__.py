"""What a caller may say: the server's address, options, values, prefixes and the retry policy."""
