"""Bulletin, the sandbox's own platform: a text is published in one call. `sandbox/bulletin` has its promises."""
