"""The whole stack on one machine without Docker: an embedded PostgreSQL and a supervisor of processes."""
