from tests.fulfillment.merchants.conftest import amazon as amazon
from tests.fulfillment.merchants.conftest import other as other
from tests.fulfillment.merchants.conftest import stage as stage
from tests.fulfillment.orders.conftest import life as life
