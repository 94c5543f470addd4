"""Plans, series and changes of many posts, small and with memory, as the scheduler has them."""

# ruff: noqa: N802 - the methods are named by the protos

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from reelroute.scheduler.v1 import (
    bulk_pb2,
    bulk_pb2_grpc,
    plans_pb2,
    plans_pb2_grpc,
    scheduler_pb2,
    series_pb2,
    series_pb2_grpc,
)

from kit import errors
from tests.gateway.fakes import WORKSPACE, Context, Fake, kept

_FIRST = datetime(2027, 3, 15, 12, tzinfo=UTC)
CHANGES_PER_ANSWER = 2


class PlanNotFound(errors.NotFound):
    """As the scheduler says it."""


class SeriesNotFound(errors.NotFound):
    """As the scheduler says it."""


class SeriesChanged(errors.Conflict):
    """As the scheduler says it."""


class OccurrenceNotFound(errors.NotFound):
    """As the scheduler says it."""


class FakePlans(Fake, plans_pb2_grpc.PlanServiceServicer):
    def SetPostingPlan(self, request: Any, context: Context) -> plans_pb2.SetPostingPlanResponse:
        self.saw(request, context)
        self.memory.plans[request.plan.channel] = request.plan
        return plans_pb2.SetPostingPlanResponse(plan=request.plan)

    def _plan(self, channel: str) -> plans_pb2.PostingPlan:
        if channel not in self.memory.plans:
            raise PlanNotFound(f"The channel {channel!r} has no posting plan. Set one first.")
        return self.memory.plans[channel]

    def GetPostingPlan(self, request: Any, context: Context) -> plans_pb2.GetPostingPlanResponse:
        self.saw(request, context)
        return plans_pb2.GetPostingPlanResponse(plan=self._plan(request.channel))

    def ListPostingPlans(self, request: Any, context: Context) -> plans_pb2.ListPostingPlansResponse:
        self.saw(request, context)
        return plans_pb2.ListPostingPlansResponse(plans=self.memory.plans.values())

    def DeletePostingPlan(self, request: Any, context: Context) -> plans_pb2.DeletePostingPlanResponse:
        self.saw(request, context)
        self.memory.plans.pop(request.channel, None)
        return plans_pb2.DeletePostingPlanResponse()

    def ListSlots(self, request: Any, context: Context) -> plans_pb2.ListSlotsResponse:
        self.saw(request, context)
        plan = self._plan(request.channel)
        closed = plans_pb2.SlotTime(times=_times(plan.time_zone, request.other_time_zone), closed_by="BLACKOUT")
        taken = plans_pb2.SlotTime(times=_times(plan.time_zone, request.other_time_zone), post_id=str(uuid4()))
        return plans_pb2.ListSlotsResponse(slots=[] if request.only_free else [taken, closed])

    def QueuePost(self, request: Any, context: Context) -> plans_pb2.QueuePostResponse:
        self.saw(request, context)

        def make() -> plans_pb2.QueuePostResponse:
            draft = scheduler_pb2.PostDraft()
            draft.CopyFrom(request.post)
            draft.local_time, draft.time_zone = "2027-03-15T08:00:00", self._plan(request.post.channel).time_zone
            return plans_pb2.QueuePostResponse(post=kept(self.memory, draft), conflicts=self.memory.conflicts)

        return self.once(request, make)

    def SetDuplicateRule(self, request: Any, context: Context) -> plans_pb2.SetDuplicateRuleResponse:
        self.saw(request, context)
        rule = request.rule
        rule.channel, rule.other_channel = sorted((rule.channel, rule.other_channel))
        self.memory.duplicate_rules[rule.channel, rule.other_channel] = rule
        return plans_pb2.SetDuplicateRuleResponse(rule=rule)

    def ListDuplicateRules(self, request: Any, context: Context) -> plans_pb2.ListDuplicateRulesResponse:
        self.saw(request, context)
        return plans_pb2.ListDuplicateRulesResponse(rules=self.memory.duplicate_rules.values())

    def DeleteDuplicateRule(self, request: Any, context: Context) -> plans_pb2.DeleteDuplicateRuleResponse:
        self.saw(request, context)
        first, second = sorted((request.channel, request.other_channel))
        self.memory.duplicate_rules.pop((first, second), None)
        return plans_pb2.DeleteDuplicateRuleResponse()

    def ApprovePosts(self, request: Any, context: Context) -> plans_pb2.ApprovePostsResponse:
        self.saw(request, context)
        return plans_pb2.ApprovePostsResponse(results=[self._approve(each, request.withdraw) for each in request.posts])

    def _approve(self, wanted: Any, withdraw: bool) -> plans_pb2.ApprovalResult:
        post = self.memory.posts.get(wanted.post_id)
        if post is None or post.etag != wanted.etag:
            refusal = scheduler_pb2.DraftRefusal(reason="POST_CHANGED", message="It was changed since. Look again.")
            return plans_pb2.ApprovalResult(refusal=refusal)
        post.approval = scheduler_pb2.APPROVAL_PENDING if withdraw else scheduler_pb2.APPROVAL_APPROVED
        return plans_pb2.ApprovalResult(post=post)


class FakeSeries(Fake, series_pb2_grpc.SeriesServiceServicer):
    """Every series has one occurrence, on 16 March 2027 at noon."""

    def CreateSeries(self, request: Any, context: Context) -> series_pb2.CreateSeriesResponse:
        self.saw(request, context)

        def make() -> series_pb2.CreateSeriesResponse:
            series = self._keep(request.series)
            return series_pb2.CreateSeriesResponse(series=series, occurrences=[self._occurrence(series)])

        return self.once(request, make)

    def _keep(self, draft: Any) -> series_pb2.Series:
        series = series_pb2.Series(
            series_id=str(uuid4()),
            workspace_id=WORKSPACE,
            name=draft.name,
            recurrence=draft.recurrence,
            post=draft.post,
            state=series_pb2.SERIES_STATE_ACTIVE,
            etag=uuid4().hex[:8],
        )
        self.memory.series[series.series_id] = series
        return series

    def _occurrence(self, series: Any, state: Any = series_pb2.OCCURRENCE_STATE_POSTED) -> series_pb2.Occurrence:
        return series_pb2.Occurrence(
            occurrence_time="2027-03-16T12:00:00",
            state=state,
            times=_times(series.recurrence.time_zone, ""),
            post_id=str(uuid4()) if state == series_pb2.OCCURRENCE_STATE_POSTED else "",
        )

    def _series(self, request: Any) -> series_pb2.Series:
        if request.series_id not in self.memory.series or request.workspace_id != WORKSPACE:
            raise SeriesNotFound("There is no such series.")
        return self.memory.series[request.series_id]

    def GetSeries(self, request: Any, context: Context) -> series_pb2.GetSeriesResponse:
        self.saw(request, context)
        return series_pb2.GetSeriesResponse(series=self._series(request))

    def ListSeries(self, request: Any, context: Context) -> series_pb2.ListSeriesResponse:
        self.saw(request, context)
        found = [
            each
            for each in self.memory.series.values()
            if request.channel in ("", each.post.channel) and request.state in (0, each.state)
        ]
        return series_pb2.ListSeriesResponse(series=found)

    def UpdateSeries(self, request: Any, context: Context) -> series_pb2.UpdateSeriesResponse:
        self.saw(request, context)
        former = self._series(request)
        if request.etag and request.etag != former.etag:
            raise SeriesChanged("The series was changed since. Read it again.")
        series = series_pb2.Series()
        series.CopyFrom(former)
        for name in request.update_mask:
            if name == "name":
                series.name = request.series.name
            else:
                getattr(series, name).CopyFrom(getattr(request.series, name))
        series.etag = uuid4().hex[:8]
        if request.from_occurrence_time:
            former.state = series_pb2.SERIES_STATE_ENDED
            series.series_id, series.previous_series_id = str(uuid4()), former.series_id
        self.memory.series[series.series_id] = series
        return series_pb2.UpdateSeriesResponse(series=series, occurrences=[self._occurrence(series)])

    def EndSeries(self, request: Any, context: Context) -> series_pb2.EndSeriesResponse:
        self.saw(request, context)
        series = self._series(request)
        series.state = series_pb2.SERIES_STATE_ENDED
        return series_pb2.EndSeriesResponse(series=series, canceled_posts=1)

    def ChangeOccurrence(self, request: Any, context: Context) -> series_pb2.ChangeOccurrenceResponse:
        self.saw(request, context)
        series = self._series(request)
        if not request.occurrence_time.startswith("2027-03-16T12:00"):
            raise OccurrenceNotFound("The rule has no such time.")
        is_skipped = request.WhichOneof("change") == "skip"
        state = series_pb2.OCCURRENCE_STATE_SKIPPED if is_skipped else series_pb2.OCCURRENCE_STATE_POSTED
        return series_pb2.ChangeOccurrenceResponse(occurrence=self._occurrence(series, state))

    def ListOccurrences(self, request: Any, context: Context) -> series_pb2.ListOccurrencesResponse:
        self.saw(request, context)
        return series_pb2.ListOccurrencesResponse(occurrences=[self._occurrence(self._series(request))])

    def PreviewRecurrence(self, request: Any, context: Context) -> series_pb2.PreviewRecurrenceResponse:
        self.saw(request, context)
        if "NEVER" in request.recurrence.rrule:
            message = "FREQ=NEVER is no frequency. Use DAILY, WEEKLY, MONTHLY or YEARLY."
            raise errors.InvalidArgument(
                message, [errors.FieldViolation("recurrence.rrule", message)], code_reason="RECURRENCE_INVALID"
            )
        times = [_times(request.recurrence.time_zone, request.other_time_zone)] * request.max_occurrences
        return series_pb2.PreviewRecurrenceResponse(times=times, description="every Tuesday at 12:00")


class FakeBulk(Fake, bulk_pb2_grpc.BulkServiceServicer):
    """Changes the posts whose ids are named, or all, a few in each answer. Those without time are refused."""

    def ChangePosts(self, request: Any, context: Context) -> Iterator[bulk_pb2.ChangePostsResponse]:
        self.saw(request, context)
        named = request.filter.post_ids
        ids = [each for each in self.memory.posts if not named or each in named]
        for start in range(0, len(ids), CHANGES_PER_ANSWER):
            if start and (failure := self.memory.failures.pop("ChangePostsMidway", None)):
                raise failure
            some = [
                self.memory.posts[each] for each in ids[start : start + CHANGES_PER_ANSWER] if each in self.memory.posts
            ]
            yield bulk_pb2.ChangePostsResponse(results=[self._change(each, request) for each in some])

    def _change(self, post: Any, request: Any) -> bulk_pb2.ChangeResult:
        result = bulk_pb2.ChangeResult(
            post_id=post.post_id, ref=post.ref, schedule_time=post.schedule_time, conflicts=self.memory.conflicts
        )
        if any(each.state == scheduler_pb2.DELIVERY_STATE_PUBLISHED for each in post.deliveries):
            result.refusal.reason, result.refusal.message = "POST_NOT_EDITABLE", "It has gone out."
            return result
        kind = request.WhichOneof("change")
        names = request.edit.update_mask if kind == "edit" else [{"shift": "local_time", "cancel": "state"}[kind]]
        result.changes.changes.extend(
            bulk_pb2.FieldChange(field=name, before="before", after="after") for name in names if name != "shingles"
        )
        return result


def _times(time_zone: str, other_time_zone: str) -> plans_pb2.LocalTimes:
    times = plans_pb2.LocalTimes(
        local_time="2027-03-16T12:00:00",
        time_zone=time_zone,
        other_time_zone=other_time_zone,
        warning="Clocks changed.",
    )
    times.time.FromDatetime(_FIRST + timedelta(days=1))
    return times
