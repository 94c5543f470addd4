"""Where orders go: settings, the map of SKUs, rules and decisions."""
