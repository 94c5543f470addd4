"""Units of a merchant's SKUs, and what may be taken of them. Pure."""

from __future__ import annotations

from kit.errors import FailedPrecondition


class InsufficientStock(FailedPrecondition):
    """Less of a SKU can be sold than is wanted."""
