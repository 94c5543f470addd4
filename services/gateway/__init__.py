"""Gateway: the REST API. Stateless; it owns nothing and asks the other services by their protos."""
