"""What container images are made of: `contents` decides what goes in, `health` runs inside."""
