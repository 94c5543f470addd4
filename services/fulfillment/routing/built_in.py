"""The rules that come with the product, from built_in_rules.json: what an order needs to be sent by Amazon at all, in
the order in which people want to hear of it, and the dated policies of TikTok Shop and Amazon. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from services.fulfillment.routing.facts import instant_of
from services.fulfillment.routing.reasons import REASONS
from services.fulfillment.routing.rules import (
    Action,
    ActionKind,
    Rule,
    RuleInvalid,
    action_from,
    condition_from,
    in_order,
)


def _rule(told: Mapping[str, Any]) -> Rule:
    action = action_from(told["action"])
    is_end = action.kind in (ActionKind.HOLD, ActionKind.LEAVE)
    return Rule(
        rule_id=told["id"],
        name=told["name"],
        priority=told["priority"],
        start_time=instant_of(told["start_time"]) if "start_time" in told else None,
        end_time=instant_of(told["end_time"]) if "end_time" in told else None,
        condition=condition_from(told["condition"]),
        action=action,
        is_built_in=True,
        is_firm=is_end and not REASONS[action.reason].can_pass,
    )


BUILT_IN = in_order([_rule(told) for told in json.loads((files(__package__) / "built_in_rules.json").read_text())])


def check_own_action(action: Action, where: str) -> None:
    """Raises RuleInvalid when an action of a workspace's own rule uses a word of ours: what is to be done about it, and
    whether it ends by itself, is said by the word.
    """
    if action.reason in REASONS:
        sentence = f"{action.reason!r} is a word of the built-in rules, and means what they mean. Choose another."
        raise RuleInvalid.of_field(f"{where}.reason", sentence)
