"""`Client` and `AsyncClient`, and the fields that every model class has."""
