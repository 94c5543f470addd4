"""The `reelroute` command. It speaks the gateway's REST API and nothing else."""
