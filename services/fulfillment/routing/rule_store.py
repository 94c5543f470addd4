"""SQL of routing rules. The caller owns the transaction."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, Select, delete, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert

from kit.db import new_id
from services.fulfillment.order_tables import routing_rules
from services.fulfillment.routing.built_in import BUILT_IN
from services.fulfillment.routing.rules import (
    Rule,
    RuleChanged,
    RuleLimitReached,
    RuleNotFound,
    action_from,
    action_to,
    condition_from,
    condition_to,
    in_order,
)

# Every order is tried against all of them.
MOST_RULES = 500
_TAKE_TURNS = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")


def rules_of(tx: Connection, workspace_id: UUID, shop_id: UUID) -> tuple[Rule, ...]:
    """The rules for a shop's orders in order, the built-in ones among them; without those that are off."""
    query = _rules(workspace_id, shop_id).where(routing_rules.c.is_on)
    return in_order([*map(_rule, tx.execute(query).mappings()), *BUILT_IN])


def all_rules(tx: Connection, workspace_id: UUID, shop_id: UUID | None) -> tuple[Rule, ...]:
    """All rules (None: of all shops) in order, the built-in ones among them."""
    return in_order([*map(_rule, tx.execute(_rules(workspace_id, shop_id)).mappings()), *BUILT_IN])


def insert_rule(tx: Connection, workspace_id: UUID, request_id: UUID, rule: Rule) -> tuple[Rule, bool]:
    """Adds a rule, and says whether it did: of a request that was made before, it is the rule of then.

    Raises RuleLimitReached.
    """
    # So that two at once do not both find room for one.
    tx.execute(_TAKE_TURNS, {"name": f"routing rules {workspace_id}"})
    here = routing_rules.c.workspace_id == workspace_id
    before = tx.execute(select(routing_rules).where(here, routing_rules.c.request_id == request_id)).mappings().first()
    if before is not None:
        return _rule(before), False
    if tx.execute(select(func.count()).select_from(routing_rules).where(here)).scalar_one() >= MOST_RULES:
        raise RuleLimitReached(f"A workspace has at most {MOST_RULES} rules. Delete those that are not used.")
    values = _values(rule) | {"rule_id": new_id(), "workspace_id": workspace_id, "request_id": request_id}
    row = tx.execute(insert(routing_rules).values(values).returning(routing_rules)).mappings().one()
    return _rule(row), True


def update_rule(tx: Connection, workspace_id: UUID, rule: Rule) -> tuple[Rule, Rule]:
    """Replaces a rule that is still at `revision`; returns it as it was, and as it is.

    Raises RuleNotFound, RuleChanged.
    """
    one = (routing_rules.c.workspace_id == workspace_id, routing_rules.c.rule_id == UUID(rule.rule_id))
    found = tx.execute(select(routing_rules).where(*one).with_for_update()).mappings().first()
    metadata = {"rule_id": rule.rule_id}
    if found is None:
        raise RuleNotFound("There is no rule with this id in the workspace.", metadata=metadata)
    if found["revision"] != rule.revision:
        raise RuleChanged(
            f"The rule is at revision {found['revision']}, not {rule.revision}. Read it again, then change it.",
            metadata=metadata | {"revision": str(found["revision"])},
        )
    values = _values(rule) | {"revision": rule.revision + 1, "update_time": func.now()}
    row = tx.execute(update(routing_rules).where(*one).values(values).returning(routing_rules)).mappings().one()
    return _rule(found), _rule(row)


def delete_rule(tx: Connection, workspace_id: UUID, rule_id: UUID) -> Rule | None:
    """Takes a rule away; returns it, None when there is none."""
    row = (
        tx.execute(
            delete(routing_rules)
            .where(routing_rules.c.workspace_id == workspace_id, routing_rules.c.rule_id == rule_id)
            .returning(routing_rules)
        )
        .mappings()
        .first()
    )
    return None if row is None else _rule(row)


def _rules(workspace_id: UUID, shop_id: UUID | None) -> Select[Any]:
    query = select(routing_rules).where(routing_rules.c.workspace_id == workspace_id)
    if shop_id is None:
        return query
    return query.where(or_(routing_rules.c.shop_id.is_(None), routing_rules.c.shop_id == shop_id))


def _values(rule: Rule) -> dict[str, object]:
    return {
        "shop_id": rule.shop_id,
        "name": rule.name,
        "priority": rule.priority,
        "is_on": rule.is_on,
        "start_time": rule.start_time,
        "end_time": rule.end_time,
        "condition": condition_to(rule.condition),
        "action": action_to(rule.action),
    }


def _rule(row: RowMapping) -> Rule:
    return Rule(
        rule_id=str(row["rule_id"]),
        shop_id=row["shop_id"],
        name=row["name"],
        priority=row["priority"],
        is_on=row["is_on"],
        start_time=row["start_time"],
        end_time=row["end_time"],
        condition=condition_from(row["condition"]),
        action=action_from(row["action"]),
        revision=row["revision"],
        update_time=row["update_time"],
    )
