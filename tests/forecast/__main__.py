"""`make forecast`: fourteen days with planted causes, foreseen and lived; prints precision and recall by cause.

The exit status is 1 when anything was foreseen wrongly, or not told in time.
"""

from __future__ import annotations

import sys

from tests.forecast.compare import run
from tests.forecast.fortnight import WHOLE

if __name__ == "__main__":
    outcome = run(WHOLE)
    print(outcome)
    sys.exit(not outcome.is_right)
