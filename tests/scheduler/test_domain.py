from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.scheduler import domain
from services.scheduler.domain import DeliveryState

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)


def delivery(state: DeliveryState, attempt: int = 1, **fields: Any) -> domain.Delivery:
    return domain.Delivery(
        delivery_id=uuid4(),
        post_id=UUID(int=1),
        account_id=uuid4(),
        state=state,
        schedule_time=NOW,
        due_time=NOW,
        attempt=attempt,
        update_time=NOW,
        workspace_id=UUID(int=2),
        **fields,
    )


def post(*deliveries: domain.Delivery) -> domain.Post:
    schedule = domain.Schedule(datetime(2027, 1, 4, 18), "Europe/Berlin", 0, NOW)
    draft = domain.Draft("air", tuple(d.account_id for d in deliveries), "", (), schedule, {}, "")
    return domain.Post(UUID(int=1), UUID(int=2), draft, 3, deliveries, NOW, NOW)


EDITABLE = {DeliveryState.SCHEDULED, DeliveryState.CLAIMED}


@pytest.mark.parametrize("state", [state for state in DeliveryState if state not in EDITABLE])
def test_only_a_post_of_which_nothing_has_begun_can_be_edited(state: DeliveryState) -> None:
    domain.check_editable(post(delivery(DeliveryState.SCHEDULED)), "r3")
    with pytest.raises(domain.PostNotEditable):
        domain.check_editable(post(delivery(DeliveryState.SCHEDULED), delivery(state)), "")


def test_an_edit_of_an_old_version_is_refused() -> None:
    with pytest.raises(domain.PostChanged):
        domain.check_editable(post(delivery(DeliveryState.SCHEDULED)), "r2")


ON_ITS_WAY = [
    delivery(DeliveryState.CLAIMED, commit_time=NOW),
    delivery(DeliveryState.CLAIMED, crash_count=1),  # its publisher went away: it may have been let go
    delivery(DeliveryState.CONFIRMING),
    delivery(DeliveryState.UNCERTAIN),
]


@pytest.mark.parametrize("begun", ON_ITS_WAY, ids=["let go", "crashed", "confirming", "uncertain"])
def test_a_post_on_its_way_out_can_be_neither_canceled_nor_edited(begun: domain.Delivery) -> None:
    with pytest.raises(domain.DeliveryInProgress):
        domain.deliveries_to_cancel(post(delivery(DeliveryState.SCHEDULED), begun))
    with pytest.raises(domain.PostNotEditable):
        domain.check_editable(post(begun), "")


def test_what_is_claimed_ahead_of_its_time_can_be_canceled_and_edited() -> None:
    ahead = delivery(DeliveryState.CLAIMED)
    domain.check_editable(post(ahead), "")
    assert domain.deliveries_to_cancel(post(ahead)) == [ahead.delivery_id]


def test_a_cancel_ends_what_has_not_left_and_leaves_what_is_over() -> None:
    waiting = [delivery(state) for state in (DeliveryState.SCHEDULED, DeliveryState.HELD, DeliveryState.MISSED)]
    over = [delivery(state) for state in domain.FINISHED]
    assert domain.deliveries_to_cancel(post(*waiting, *over)) == [each.delivery_id for each in waiting]


ACCOUNT = "0198c0de-0000-7000-8000-00000000abcd"


@pytest.mark.parametrize(
    ("scope", "mine", "target", "field"),
    [
        ("EVERYTHING", True, "", "workspace_id"),
        ("EVERYTHING", False, "tiktok", "target"),
        ("PLATFORM", True, "tiktok", "workspace_id"),
        ("PLATFORM", False, "", "target"),
        ("PLATFORM", False, "TikTok", "target"),
        ("WORKSPACE", False, "", "workspace_id"),
        ("WORKSPACE", True, "air", "target"),
        ("CHANNEL", True, "", "target"),
        ("ACCOUNT", True, "air", "target"),
        ("ACCOUNT", True, ACCOUNT.upper(), "target"),
        ("POST", False, ACCOUNT, "workspace_id"),
    ],
)
def test_a_hold_whose_parts_do_not_fit_is_refused_by_its_field(scope: str, mine: bool, target: str, field: str) -> None:
    with pytest.raises(domain.HoldInvalid) as refusal:
        domain.check_hold(UUID(int=1) if mine else None, domain.HoldScope(scope), target)
    assert refusal.value.violations[0].field == field


@pytest.mark.parametrize(
    ("scope", "mine", "target"),
    [
        ("EVERYTHING", False, ""),
        ("PLATFORM", False, "tiktok"),
        ("WORKSPACE", True, ""),
        ("CHANNEL", True, "air"),
        ("ACCOUNT", True, ACCOUNT),
        ("POST", True, ACCOUNT),
    ],
)
def test_a_hold_that_fits_is_taken(scope: str, mine: bool, target: str) -> None:
    domain.check_hold(UUID(int=1) if mine else None, domain.HoldScope(scope), target)


def test_an_account_comes_once_however_it_is_written() -> None:
    account = "0198c0de-0000-7000-8000-00000000abcd"
    with pytest.raises(domain.AccountRepeated) as refusal:
        domain.distinct_accounts([UUID(account), UUID(int=1), UUID(account.upper())])
    assert refusal.value.violations[0].field == "account_ids[2]"
