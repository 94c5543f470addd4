"""What was decided of an order, and why."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field
from reelroute.fulfillment.v1 import routing_pb2 as pb

from services.gateway.models import order_examples
from services.gateway.models.fields import AnswerModel, instant_of, shown, word_of, words_of
from services.gateway.models.shop_routing import speed_of
from services.gateway.models.sku_mappings import SkuPart


class PlannedShipment(AnswerModel):
    """One order at Amazon."""

    items: list[SkuPart]


class RuleTrace(AnswerModel):
    """A rule that was looked at."""

    rule_id: str
    name: str
    is_match: bool
    ground: str = Field(description="What of its condition decided it: `units 251 is more than 250`.")


class RoutingDecision(AnswerModel):
    """What was decided of an order, and why. Nothing of name, street or phone is in it."""

    model_config = shown(order_examples.DECISION)

    kind: str | None = Field(json_schema_extra={"enum": [*words_of(pb.DecisionKind, "DECISION_KIND_"), None]})
    reason: str = Field(description="Why it is held or left, one word: `sku_unmapped`; empty for `ROUTE`.")
    text: str = Field(description="The same for people.")
    speed: str | None = Field(json_schema_extra={"enum": [*words_of(pb.Speed, "SPEED_"), None]})
    features: dict[str, bool] = Field(description="Of Amazon's: true must be met, false should be.")
    shipments: list[PlannedShipment] = Field(description="What is to be sent: one for each order at Amazon.")
    notes: list[str] = Field(description="Remarks that change nothing.")
    decide_time: datetime | None
    facts: dict[str, str] = Field(description="What was known, by name, in the words that rules use.")
    trace: list[RuleTrace] = Field(description="Each rule that was looked at, in order.")

    @classmethod
    def of(cls, decision: pb.Decision) -> RoutingDecision:
        """From fulfillment."""
        return cls(
            kind=word_of(pb.DecisionKind, "DECISION_KIND_", decision.kind),
            reason=decision.reason,
            text=decision.text,
            speed=speed_of(decision.speed),
            features=dict(sorted(decision.features.items())),
            shipments=[PlannedShipment(items=[SkuPart.of(item) for item in each.items]) for each in decision.shipments],
            notes=list(decision.notes),
            decide_time=instant_of(decision, "decide_time"),
            facts=dict(sorted(decision.facts.items())),
            trace=[
                RuleTrace(rule_id=each.rule_id, name=each.name, is_match=each.is_match, ground=each.ground)
                for each in decision.trace
            ],
        )


class Replay(AnswerModel):
    """One order, decided again."""

    order_id: str
    platform_order_id: str
    before: RoutingDecision | None = Field(description="As it was decided; null: it never was.")
    now: RoutingDecision | None = Field(description="As it would be now; null: it cannot be decided any more.")
    is_different: bool

    @classmethod
    def of(cls, replay: pb.Replay) -> Replay:
        """From fulfillment."""
        return cls(
            order_id=replay.order_id,
            platform_order_id=replay.platform_order_id,
            before=RoutingDecision.of(replay.before) if replay.HasField("before") else None,
            now=RoutingDecision.of(replay.now) if replay.HasField("now") else None,
            is_different=replay.is_different,
        )


class ReplayList(AnswerModel):
    """Orders that were decided again. Nothing was changed."""

    model_config = shown(order_examples.REPLAYS)

    replays: list[Replay]
    more: bool = Field(description="True: there are more held orders than were asked for.")
