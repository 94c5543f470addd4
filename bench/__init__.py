"""Measured comparisons (docs/benchmarks.md). Each prints a table and writes JSON under build/bench/."""
