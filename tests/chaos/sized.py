"""How large a scenario is: short in every test run, whole in `make chaos`."""

from __future__ import annotations

import os
from typing import TypeVar

import pytest

Size = TypeVar("Size")

WHOLE_VARIABLE = "REELROUTE_TEST_CHAOS"
IS_WHOLE = os.environ.get(WHOLE_VARIABLE) == "whole"
whole_only = pytest.mark.skipif(not IS_WHOLE, reason="takes minutes: make chaos SEEDS=scenarios")


def sized(short: Size, whole: Size) -> Size:
    """The size of this run."""
    return whole if IS_WHOLE else short
