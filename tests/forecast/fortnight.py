"""Days of a brand with planted causes of failure: what is foreseen of them, and what then happens.

creator.0      goes out, but for what is paused in the channel "water", what nobody approves in the channel "earth",
               photos, and a file that is gone
creator.1      on some days has three posts more than TikTok takes of it; one of them may be a day late
creator.dying  has an authorisation that ends
creator.brief  may post three seconds at most; its videos have six
creator.shy    has a private account, and some posts for everybody
creator.lost   has disconnected us
writer.0       is on Bulletin, and has some texts that are too long
"""

from __future__ import annotations

import contextlib
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from google.protobuf.duration_pb2 import Duration
from reelroute.content.v1 import content_pb2, content_pb2_grpc
from reelroute.publisher.v1 import publisher_pb2, publisher_pb2_grpc
from reelroute.scheduler.v1 import plans_pb2, plans_pb2_grpc, scheduler_pb2, scheduler_pb2_grpc

from deploy.local import demo
from tests.chaos.installation import WORKSPACE, Installation, connect, upload
from tests.forecast.machine import TimeMachine

ON_TIME = timedelta(minutes=10)
# What is due is waited for in real time from here on; and the preflight has its turn sooner.
_RUN_UP = timedelta(seconds=3)
_PREFLIGHT = timedelta(minutes=10, seconds=20)
_MEDIA = Path(__file__).parent.parent / "media"
_LATE = scheduler_pb2.Lateness(max_lateness=Duration(seconds=86_400))

# By delivery: what it fails for.
Causes = dict[str, set[str]]


@dataclass(frozen=True, slots=True)
class Size:
    """So many days, with posts at these hours, on a platform that takes so many posts a day of an account."""

    days: int
    hours: tuple[int, ...]
    posts_per_day: int

    @property
    def environment(self) -> dict[str, str]:
        """Of the installation."""
        return {
            "REELROUTE_TIKTOK_POSTS_PER_DAY": str(self.posts_per_day),
            "REELROUTE_PREFLIGHT_SECONDS": "0.5",
            "REELROUTE_REFRESH_POLL_SECONDS": "0.5",
        }


SHORT = Size(days=2, hours=(9,), posts_per_day=5)
WHOLE = Size(days=14, hours=(9, 15, 21), posts_per_day=15)


@dataclass
class Days:
    """Days from midnight on, on a fresh installation."""

    running: Installation
    machine: TimeMachine
    size: Size
    begin: datetime = field(init=False)
    media: dict[str, content_pb2.MediaAsset] = field(default_factory=dict)
    drafts: list[scheduler_pb2.PostDraft] = field(default_factory=list)
    # What was foreseen on each day, of all that was still to come.
    foreseen: list[tuple[int, Causes]] = field(default_factory=list)

    def plan(self) -> None:
        """Accounts, media, posts, and what is wrong with some of them."""
        tomorrow = self.machine.now + timedelta(days=1)
        self.begin = tomorrow.replace(hour=0, minute=0, second=0, microsecond=0)
        self._furnish()
        for day in range(self.size.days):
            self._plan_day(day)
        self._save()
        self._break()

    def live(self) -> None:
        """Lets the days pass. Each day begins with a forecast."""
        asked = -1
        while (due := self.machine.next_due()) is not None:
            day = max(0, (due - self.begin).days)
            if day > asked:
                asked = day
                self.foreseen.append((day, self._forecast()))
            if due - self.machine.now > _PREFLIGHT:
                self.machine.renewed_until(due - _PREFLIGHT)
                self.machine.go_to(due - _PREFLIGHT)
                self.machine.preflown(due)
            self.machine.go_to(due - _RUN_UP)
            self.machine.wait_until(due)
            self.machine.settle()

    def _furnish(self) -> None:
        end = self.begin + timedelta(days=min(5, self.size.days - 2), hours=12)
        self.running.control("PATCH", "/tiktok/settings", {"posts_per_day": self.size.posts_per_day})
        for handle, creator, settings in (
            ("creator.brief", {"max_duration_seconds": 3}, {}),
            ("creator.shy", {"private": True}, {}),
            ("creator.lost", {}, {}),
            ("creator.dying", {}, {"refresh_token_seconds": (end - self.machine.now).total_seconds()}),
        ):
            self.running.control("POST", "/tiktok/creators", {"username": handle, **creator})
            self.running.control("PATCH", "/tiktok/settings", settings)
            with contextlib.closing(self.running.channel("publisher-1")) as channel:
                publisher = publisher_pb2_grpc.PublisherServiceStub(channel)
                self.running.accounts[handle] = connect(self.running, publisher, handle)
        with contextlib.closing(self.running.channel("content")) as channel:
            content = content_pb2_grpc.ContentServiceStub(channel)
            for name, path in (
                ("video", demo.VIDEO),
                ("photo", _MEDIA / "draw_boxes_1080x1350.jpg"),
                ("gone", _MEDIA / "hevc_6s.mov"),
            ):
                self.media[name] = upload(content, path)

    def _plan_day(self, day: int) -> None:
        hours, cap = self.size.hours, self.size.posts_per_day
        for hour in hours:
            self._draft("creator.0", day, hour)
            self._draft("creator.dying", day, hour)
        if day % 6 == 1:
            for number in range(cap + 3):
                lateness = _LATE if number == cap else None
                self._draft("creator.1", day, 5, minute=50 * number, lateness=lateness)
        else:
            for hour in hours:
                self._draft("creator.1", day, hour)
        first, last = hours[0], hours[-1]
        self._draft("creator.0", day, first, channel="water")
        # Each second one is approved.
        self._draft("creator.0", day, first, channel="earth")
        self._draft("creator.0", day, last, media=("photo", "video", "gone", "video")[day % 4])
        self._draft("creator.brief", day, first)
        self._draft("creator.shy", day, first, privacy_level="SELF_ONLY" if day % 3 else "PUBLIC_TO_EVERYONE")
        self._draft("creator.lost", day, last)
        self._draft("writer.0", day, first)
        self._draft("writer.0", day, last, caption="x" * 2001 if day % 5 == 1 else "")

    def _draft(
        self,
        handle: str,
        day: int,
        hour: int,
        *,
        minute: int = 0,
        channel: str = "air",
        media: str = "video",
        privacy_level: str = "PUBLIC_TO_EVERYONE",
        caption: str = "",
        lateness: scheduler_pb2.Lateness | None = None,
    ) -> None:
        time = self.begin + timedelta(days=day, hours=hour, minutes=minute)
        is_writer = handle in self.running.writers
        draft = scheduler_pb2.PostDraft(
            account_ids=[self.running.accounts[handle]],
            platforms=["bulletin" if is_writer else "tiktok"],
            channel=channel,
            caption=caption or f"{uuid.uuid4()} #emberfold",
            local_time=f"{time:%Y-%m-%dT%H:%M:%S}",
            time_zone="UTC",
            lateness=lateness,
        )
        if not is_writer:
            asset = self.media[media]
            draft.media.add(media_asset_id=asset.media_asset_id, sha256=asset.sha256, mime_type=asset.mime_type)
            draft.options.tiktok.privacy_level = privacy_level
        self.drafts.append(draft)

    def _save(self) -> None:
        with contextlib.closing(self.running.channel("scheduler-1")) as channel:
            scheduler = scheduler_pb2_grpc.SchedulerServiceStub(channel)
            plans = plans_pb2_grpc.PlanServiceStub(channel)
            earth = plans_pb2.PostingPlan(channel="earth", time_zone="UTC", requires_approval=True)
            plans.SetPostingPlan(plans_pb2.SetPostingPlanRequest(workspace_id=str(WORKSPACE), plan=earth), timeout=10)
            answer = scheduler.BatchCreatePosts(
                scheduler_pb2.BatchCreatePostsRequest(
                    workspace_id=str(WORKSPACE), request_id=str(uuid.uuid4()), posts=self.drafts
                ),
                timeout=30,
            )
            assert all(result.HasField("post") for result in answer.results), str(answer)[:2000]
            waiting = [each.post for each in answer.results if each.post.channel == "earth"]
            approvals = [plans_pb2.PostApproval(post_id=post.post_id, etag=post.etag) for post in waiting[::2]]
            plans.ApprovePosts(plans_pb2.ApprovePostsRequest(workspace_id=str(WORKSPACE), posts=approvals), timeout=10)
            scheduler.PlaceHold(
                scheduler_pb2.PlaceHoldRequest(
                    workspace_id=str(WORKSPACE),
                    scope=scheduler_pb2.HOLD_SCOPE_CHANNEL,
                    target="water",
                    cause=scheduler_pb2.HOLD_CAUSE_PAUSE,
                ),
                timeout=10,
            )

    def _break(self) -> None:
        """A file is deleted; an account disconnects us, and a post of this moment finds that out."""
        gone = self.media["gone"].media_asset_id
        self.running.rows("DELETE FROM content.media_assets WHERE media_asset_id = %(id)s::uuid", id=gone)
        self.running.control("POST", "/tiktok/creators/creator.lost/revoke")
        self.running.plan(["creator.lost"], self.machine.now.replace(microsecond=0) + timedelta(seconds=3))
        self.running.wait(
            lambda: self.running.rows("SELECT 1 FROM publisher.accounts WHERE state = 'AUTHORIZATION_LOST'") or None, 60
        )
        self.machine.settle()

    def _forecast(self) -> Causes:
        found: Causes = {}
        with contextlib.closing(self.running.channel("publisher-1")) as channel:
            publisher = publisher_pb2_grpc.PublisherServiceStub(channel)
            token = ""
            while True:
                answer = publisher.ForecastPosts(
                    publisher_pb2.ForecastPostsRequest(
                        workspace_id=str(WORKSPACE),
                        horizon=Duration(seconds=(self.size.days + 2) * 86_400),
                        page_size=200,
                        page_token=token,
                    ),
                    timeout=30,
                )
                for failure in answer.failures:
                    cause = publisher_pb2.ForecastCause.Name(failure.cause).removeprefix("FORECAST_CAUSE_")
                    found.setdefault(failure.delivery_id, set()).add(cause)
                token = answer.next_page_token
                if not token:
                    return found


# Of each delivery: how it ended, and what its attempts say.
_ENDS = """
SELECT p.post_id, d.delivery_id::text, p.schedule_time, d.state, d.hold_cause, d.failure_reason, d.publish_time,
    EXISTS (SELECT 1 FROM publisher.publications u JOIN publisher.attempts a USING (publication_id)
            WHERE u.delivery_id = d.delivery_id AND a.outcome = 'rate_limited') AS waited,
    c.handle
FROM (SELECT delivery_id, post_id, account_id, state, hold_cause, failure_reason, publish_time FROM scheduler.deliveries
      UNION ALL
      SELECT delivery_id, post_id, account_id, state, '', failure_reason, publish_time
      FROM scheduler.finished_deliveries) d
JOIN scheduler.posts p USING (post_id) JOIN publisher.accounts c USING (account_id)
"""
_OF_MEDIA = ("MEDIA_MISSING", "PHOTOS_NEED_AN_ADDRESS", "DURATION_CHECK_FAILED")


_TOLD = """
SELECT coalesce(sum((attributes->>'posts')::int), 0)::int AS posts FROM notification.activities
WHERE type = 'delivery.foreseen' AND attributes->>'stage' = 'MINUTES'
"""


def told(running: Installation) -> int:
    """Of how many deliveries people were told ten minutes ahead that they will not go out."""
    return int(running.rows(_TOLD)[0]["posts"])


def happened(running: Installation) -> dict[str, tuple[datetime, str]]:
    """Of each delivery: when it was to go out, and the cause why it did not, or not in time; "" when it did."""
    return {row["delivery_id"]: (row["schedule_time"], _cause(row)) for row in running.rows(_ENDS)}


def _cause(row: dict[str, Any]) -> str:
    match row["state"]:
        case "PUBLISHED":
            is_late = row["publish_time"] - row["schedule_time"] > ON_TIME
            return "QUOTA" if is_late and row["waited"] else "LATE" if is_late else ""
        case "HELD" if row["hold_cause"] == "ACCOUNT":
            return "ACCOUNT" if row["handle"] == "creator.lost" else "TOKEN"
        case "HELD" if row["hold_cause"] != "CHOICE":
            return str(row["hold_cause"])
        case "MISSED" if row["waited"]:
            return "QUOTA"
        case "FAILED" | "HELD":
            return "MEDIA" if row["failure_reason"] in _OF_MEDIA else "CONTENT"
        case state:
            return f"{state} {row['failure_reason']}"
