"""JSON schemas, rewritten so that a server carries them to the model without loss."""
