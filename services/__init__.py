"""The services. Each is one process, owns one PostgreSQL schema, and is reached only by its proto."""
