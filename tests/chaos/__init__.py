import os

# Processes of another user are started by a fork, and gRPC's handlers of forks end the child while calls are under way.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
