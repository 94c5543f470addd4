"""Routing rules: what is done with orders of a certain kind."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError
from reelroute.fulfillment.v1 import routing_pb2 as pb

from services.gateway.models import examples, order_examples
from services.gateway.models.fields import (
    AnswerModel,
    IdText,
    Instant,
    Name,
    RequestModel,
    Text,
    instant_of,
    matching,
    shown,
    word_of,
)
from services.gateway.models.shop_routing import SpeedWord, speed_of, speed_to

OperatorWord = Literal["EQUALS", "LESS_THAN", "MORE_THAN", "IN", "CONTAINS_ANY", "STARTS_WITH"]
ActionWord = Literal["HOLD", "LEAVE", "ROUTE", "SHIP_AS", "SPLIT"]
# A message of the protos nests twice for each level, and at most a hundred times.
_DEEPEST = 10
_REASON = "[a-z][a-z0-9_]{0,39}"


class FactTest(RequestModel):
    """Whether a fact of an order is as named."""

    fact: Text = Field(min_length=1, max_length=60, description="`units`, `skus`, `state`: docs/routing.md has all.")
    operator: OperatorWord
    values: Annotated[list[Annotated[Text, Field(max_length=200)]], Field(min_length=1, max_length=1000)] = Field(
        description="One, but for `IN` and `CONTAINS_ANY`. Numbers as decimal text, instants as RFC 3339, `true`,"
        " `false`. Of a list `EQUALS`, `LESS_THAN` and `MORE_THAN` compare how many there are."
    )


class AllOf(RequestModel):
    """True when each is; without any, always."""

    all: Annotated[list[Condition], Field(max_length=50)]


class AnyOf(RequestModel):
    """True when one is; without any, never."""

    any: Annotated[list[Condition], Field(max_length=50)]


class Not(RequestModel):
    """True when the other is not."""

    model_config = ConfigDict(populate_by_name=True)

    not_: Condition = Field(alias="not")


def _kind_of(value: Any) -> str | None:
    if isinstance(value, dict):
        return next((word for word in ("fact", "all", "any", "not") if word in value), None)
    kinds = ((FactTest, "fact"), (AllOf, "all"), (AnyOf, "any"), (Not, "not"))
    return next((word for kind, word in kinds if isinstance(value, kind)), None)


Condition = Annotated[
    Annotated[FactTest, Tag("fact")] | Annotated[AllOf, Tag("all")] | Annotated[AnyOf, Tag("any")]
    | Annotated[Not, Tag("not")],
    Discriminator(
        _kind_of,
        custom_error_type="condition_unknown",
        custom_error_message='A condition has one of: "fact" with "operator" and "values", "all", "any", "not".',
    ),
]  # fmt: skip
for _model in (AllOf, AnyOf, Not):
    _model.model_rebuild()


class RuleAction(RequestModel):
    """What is done with an order for which the condition is true."""

    kind: ActionWord = Field(
        description="`HOLD`: it waits for a person. `LEAVE`: the seller sends it. `ROUTE`: it is routed, whatever the"
        " rules behind say, but for those that nobody may pass over. `SHIP_AS`: it goes on, at this speed and with"
        " these features. `SPLIT`: it goes on, and what is too much for one order at Amazon goes as several."
    )
    reason: Annotated[Text, matching(f"({_REASON})?", "Use a word of small letters, digits and _, up to 40.")] = Field(
        default="",
        description="With `HOLD` and `LEAVE`: what for, one word: `too_dear`. With `SHIP_AS`: a remark.",
        json_schema_extra={"pattern": f"^({_REASON})?$"},
    )
    text: Text = Field(default="", max_length=300, description="The same for people.")
    speed: SpeedWord | None = Field(default=None, description="With `SHIP_AS`; null: as it would be.")
    features: dict[Annotated[Text, Field(min_length=1, max_length=60)], bool] = Field(
        default={}, max_length=20, description="With `SHIP_AS`: what Amazon must meet (true) or should (false)."
    )

    def to_proto(self) -> pb.Action:
        """For fulfillment."""
        return pb.Action(
            kind=pb.ActionKind.Value(f"ACTION_KIND_{self.kind}"),
            reason=self.reason,
            text=self.text,
            speed=speed_to(self.speed),
            features=self.features,
        )

    @classmethod
    def of(cls, action: pb.Action) -> RuleAction:
        """From fulfillment; not validated: what was stored under an earlier rule is still shown."""
        return cls.model_construct(
            kind=cast(ActionWord, word_of(pb.ActionKind, "ACTION_KIND_", action.kind)),
            reason=action.reason,
            text=action.text,
            speed=cast(SpeedWord | None, speed_of(action.speed)),
            features=dict(sorted(action.features.items())),
        )


class RoutingRuleDraft(RequestModel):
    """A rule to add: while it holds, an order for which its condition is true is treated as its action says."""

    model_config = shown(order_examples.RULE_DRAFT)

    shop_id: IdText | None = Field(default=None, description="Only for this shop; null: for all.")
    name: Name
    priority: int = Field(
        ge=0,
        le=999_999,
        description="Rules are looked at from the lowest on; the first that holds, leaves or routes ends it. Built-in"
        " rules have 1,000 and up.",
    )
    is_on: bool = True
    start_time: Instant | None = Field(default=None, description="From when on it holds; null: from ever.")
    end_time: Instant | None = Field(default=None, description="Until when; null: for ever.")
    condition: Condition
    action: RuleAction

    @model_validator(mode="after")
    def _nests_no_deeper(self) -> RoutingRuleDraft:
        if _depth(self.condition) > _DEEPEST:
            raise PydanticCustomError("too_deep", f"Conditions nest at most {_DEEPEST} deep.")
        return self

    def to_proto(self) -> pb.RoutingRule:
        """For fulfillment."""
        rule = pb.RoutingRule(
            shop_id=self.shop_id or "",
            name=self.name,
            priority=self.priority,
            is_on=self.is_on,
            condition=_condition_to(self.condition),
            action=self.action.to_proto(),
        )
        if self.start_time:
            rule.start_time.FromDatetime(self.start_time)
        if self.end_time:
            rule.end_time.FromDatetime(self.end_time)
        return rule


class RoutingRuleChange(RoutingRuleDraft):
    """A rule as it is to be, as a whole."""

    model_config = shown(order_examples.RULE_CHANGE)

    revision: int = Field(ge=1, le=2**63 - 1, description="The one that was read.")


class TriedRule(RoutingRuleDraft):
    """A draft of a rule to try."""

    rule_id: IdText | None = Field(default=None, description="Tried in place of this one; null: besides all others.")


class RoutingRule(RoutingRuleDraft):
    """A rule that is looked at."""

    model_config = shown(order_examples.RULE)

    rule_id: str
    is_built_in: bool = Field(
        description="It comes with the product and cannot be changed; a `ROUTE` rule before it passes it over, where"
        " that may be."
    )
    revision: int = Field(description="Grows with each change.")
    update_time: Instant | None

    @classmethod
    def of(cls, rule: pb.RoutingRule) -> RoutingRule:
        """From fulfillment; not validated: what was stored under an earlier rule is still shown."""
        return cls.model_construct(
            rule_id=rule.rule_id,
            shop_id=rule.shop_id or None,
            name=rule.name,
            priority=rule.priority,
            is_on=rule.is_on,
            start_time=instant_of(rule, "start_time"),
            end_time=instant_of(rule, "end_time"),
            condition=_condition_of(rule.condition),
            action=RuleAction.of(rule.action),
            is_built_in=rule.is_built_in,
            revision=rule.revision,
            update_time=instant_of(rule, "update_time"),
        )


class RoutingRuleList(AnswerModel):
    """A page of rules, in the order in which they are looked at."""

    model_config = shown(examples.page("rules", order_examples.RULE))

    rules: list[RoutingRule]
    next_page_token: str = Field(description="Empty on the last page.")


class RoutingTest(RequestModel):
    """What to try on an order."""

    model_config = shown({"draft": order_examples.RULE_DRAFT})

    draft: TriedRule | None = Field(default=None, description="Null: only the rules that there are.")


def _depth(condition: Condition) -> int:
    match condition:
        case AllOf(all=inner) | AnyOf(any=inner):
            return 1 + max((_depth(each) for each in inner), default=0)
        case Not():
            return 1 + _depth(condition.not_)
    return 1


def _condition_to(condition: Condition) -> pb.Condition:
    match condition:
        case AllOf():
            return pb.Condition(all=pb.Conditions(conditions=[_condition_to(each) for each in condition.all]))
        case AnyOf():
            return pb.Condition(any=pb.Conditions(conditions=[_condition_to(each) for each in condition.any]))
        case Not():
            return pb.Condition(**{"not": _condition_to(condition.not_)})  # type: ignore[arg-type] # a word of Python's
        case FactTest():
            operator = pb.Operator.Value(f"OPERATOR_{condition.operator}")
            return pb.Condition(test=pb.Test(fact=condition.fact, operator=operator, values=condition.values))


def _condition_of(condition: pb.Condition) -> Condition:
    match condition.WhichOneof("kind"):
        case "all":
            return AllOf.model_construct(all=[_condition_of(each) for each in condition.all.conditions])
        case "any":
            return AnyOf.model_construct(any=[_condition_of(each) for each in condition.any.conditions])
        case "not":
            return Not.model_construct(not_=_condition_of(getattr(condition, "not")))
    return FactTest.model_construct(
        fact=condition.test.fact,
        operator=cast(OperatorWord, word_of(pb.Operator, "OPERATOR_", condition.test.operator)),
        values=list(condition.test.values),
    )
