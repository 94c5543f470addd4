"""Precision and recall of forecasts: what was foreseen, beside what happened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from tests.chaos.installation import installation
from tests.forecast.fortnight import Days, Size, happened, told
from tests.forecast.machine import TimeMachine


@dataclass
class Score:
    """Of one cause: deliveries that were foreseen to fail for it, those that did, and those that were both."""

    foreseen: int = 0
    happened: int = 0
    both: int = 0

    @property
    def precision(self) -> float:
        """How much of what was foreseen happened."""
        return self.both / self.foreseen if self.foreseen else 1.0

    @property
    def recall(self) -> float:
        """How much of what happened was foreseen."""
        return self.both / self.happened if self.happened else 1.0


@dataclass
class Comparison:
    """By cause; with each delivery that was foreseen wrongly. Several forecasts may be added up."""

    scores: dict[str, Score] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def add(self, title: str, foreseen: Mapping[str, Iterable[str]], ends: Mapping[str, str]) -> None:
        """Adds a forecast of the deliveries of `ends`: their causes, "" for those that went out in time."""
        for delivery, cause in ends.items():
            causes = set(foreseen.get(delivery, ()))
            for each in causes:
                self._score(each).foreseen += 1
            if cause:
                self._score(cause).happened += 1
            if cause in causes:
                self._score(cause).both += 1
            if causes != ({cause} if cause else set()):
                said = ", ".join(sorted(causes)) or "to go out"
                self.wrong.append(f"{title}: {delivery} was foreseen: {said}; it was: {cause or 'in time'}")

    def _score(self, cause: str) -> Score:
        return self.scores.setdefault(cause, Score())

    def table(self) -> str:
        """For people."""
        total = Score(*(sum(getattr(each, name) for each in self.scores.values()) for name in Score.__annotations__))
        lines = [f"{'cause':10} {'foreseen':>8} {'happened':>8} {'both':>6} {'precision':>9} {'recall':>7}"]
        for cause, score in [*sorted(self.scores.items()), ("all", total)]:
            lines.append(
                f"{cause:10} {score.foreseen:8} {score.happened:8} {score.both:6} {score.precision:9.3f}"
                f" {score.recall:7.3f}"
            )
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How well the first forecast saw the days, and those of each morning what was still to come; how many deliveries
    failed but for a pause, and of how many people were told ten minutes ahead.
    """

    deliveries: int
    first: Comparison
    daily: Comparison
    failed: int
    told: int

    @property
    def is_right(self) -> bool:
        """Whether everything was foreseen as it came, and told."""
        return not self.first.wrong and not self.daily.wrong and self.failed == self.told

    def __str__(self) -> str:
        """For people."""
        return "\n".join(
            [
                f"foreseen at the beginning, of {self.deliveries} deliveries:",
                self.first.table(),
                "foreseen each morning, of what was still to come:",
                self.daily.table(),
                f"told ten minutes ahead: {self.told} of {self.failed} (a pause is told a day ahead only)",
                *self.first.wrong,
                *self.daily.wrong,
            ]
        )


def run(size: Size) -> Outcome:
    """Plans the days, lives them, and compares."""
    with installation(schedulers=1, publishers=2, creators=2, environment=size.environment) as running:
        days = Days(running, TimeMachine(running), size)
        days.plan()
        days.live()
        passed, told_ahead = days.machine.passed, told(running)
        # But for the post that found out that an account is lost.
        lived = {each: end for each, end in happened(running).items() if end[0] + passed >= days.begin}
    assert len(lived) == len(days.drafts)
    # From then on the account is lost, and no longer about to be.
    lost = min((time + passed for time, cause in lived.values() if cause == "TOKEN"), default=None)
    first, daily = Comparison(), Comparison()
    first.add("at the beginning", days.foreseen[0][1], {each: cause for each, (_, cause) in lived.items()})
    for day, foreseen in days.foreseen:
        morning = days.begin + timedelta(days=day)
        coming = {each: cause for each, (time, cause) in lived.items() if time + passed >= morning}
        if lost is not None and morning > lost:
            coming = {each: "ACCOUNT" if cause == "TOKEN" else cause for each, cause in coming.items()}
        daily.add(f"on day {day}", foreseen, coming)
    failed = sum(cause not in ("", "PAUSE") for _, cause in lived.values())
    return Outcome(len(lived), first, daily, failed, told_ahead)
