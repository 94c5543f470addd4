"""Ways to run Reelroute: images, Kubernetes, and one machine without Docker (`deploy.local`)."""
