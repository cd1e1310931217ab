"""The models of one server: how they are declared, stored and loaded."""
