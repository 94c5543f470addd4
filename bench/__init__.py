"""Measured comparisons. Each prints a table and writes JSON under build/bench/."""
