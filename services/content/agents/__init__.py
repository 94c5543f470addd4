"""Agents: each knows one field, and does work there for people, programs and other agents."""
