"""Alembic's entry: runs on the connection that kit.migrations gives."""

from kit.migrations import run_env

run_env()
