"""Orders of shops, from their first reading to their end."""
