"""Long runs that break things at random moments, repeatable by their seeds: `make chaos`. Not part of `make test`."""
