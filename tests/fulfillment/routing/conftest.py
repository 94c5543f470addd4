from collections.abc import Iterator

import pytest

from kit.db import Database
from tests.fulfillment.routing.stage_of_routing import RoutingStage, routing_stage


@pytest.fixture
def routing(database: Database) -> Iterator[RoutingStage]:
    with routing_stage(database) as opened:
        yield opened
