"""A whole installation, broken on purpose: short forms in every test run, the whole with `make chaos`; docs/chaos.md."""

import os

# Processes of another user are started by a fork, and gRPC's handlers of forks end the child while calls are under way.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
