"""What is foreseen is what happens: two days with planted causes. `make forecast` lives fourteen."""

from __future__ import annotations

import pytest

from tests.forecast.compare import run
from tests.forecast.fortnight import SHORT

CAUSES = {"ACCOUNT", "APPROVAL", "CONTENT", "MEDIA", "PAUSE", "QUOTA", "TOKEN"}


@pytest.mark.timeout(300)
def test_what_is_foreseen_is_what_happens_and_is_told_in_time() -> None:
    outcome = run(SHORT)
    print(outcome)
    assert outcome.first.scores.keys() == CAUSES
    assert outcome.is_right, str(outcome)
