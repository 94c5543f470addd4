"""Forecasts, compared with what then really happens: days of a whole installation on the platform sandbox."""
