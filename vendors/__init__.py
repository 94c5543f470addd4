"""Thin typed clients of other companies' public APIs: no database, no domain."""
