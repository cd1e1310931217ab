"""An endpoint as a value: what to send, how to read the answer, what to leave out when refused."""
