"""The peers' side of the comparison. Runs in .bench, which has none of our dependencies (see bench/drain.py).

Each module is a program: `… fill` puts the jobs in, `… work` is one of the worker processes. What is asked of it comes
as JSON in its last argument (job.Plan).
"""
