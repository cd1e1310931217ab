"""What is done to an answer between the server and the caller, the same on both wires."""
