"""The routes, one module per kind of thing. A body is short: translate in, call, translate out."""
