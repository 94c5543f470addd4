"""What can be changed about Bulletin while it runs."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from sandbox.vendor import Outage

TEXT_CHARACTERS = 2000
TAKEN_WITHIN_SECONDS = 10.0
LISTED_AFTER_SECONDS = 5.0
LISTED_WITHIN_SECONDS = TAKEN_WITHIN_SECONDS + LISTED_AFTER_SECONDS
"""The word about lost answers; see the head of the package."""

Count = Annotated[int, Field(ge=0, le=1_000_000_000)]


class BulletinSettings(BaseModel):
    """Delays, limits and switches. Times in seconds."""

    model_config = ConfigDict(extra="forbid")

    answer_seconds: Annotated[float, Field(ge=0, le=60)] = 0.0
    """From taking a post to the answer, in real time."""
    list_seconds: Annotated[float, Field(ge=0, le=LISTED_AFTER_SECONDS)] = 1.0
    """From taking a post to its appearance in the list."""
    posts_per_minute: Count = 0
    """Posts of one account; 0: no limit."""
    posts_per_second: Count = 0
    """Posts of all accounts together; 0: no limit."""
    kept_posts: Annotated[int, Field(ge=1, le=100_000_000)] = 1_000_000
    """Older posts are forgotten."""
    outage: Outage = "off"
