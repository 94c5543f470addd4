"""How a video is cut for upload.

TikTok's rules: chunks of 5 to 64 MB in order, the last one takes the remainder and may have 128 MB; the number of
chunks is ``floor(video_size / chunk_size)``, 1 to 1000; up to 64 MB in one chunk of exactly the video's size. Whether
MB means 10^6 or 2^20 bytes is not documented; this plan is valid either way.
Source: developers.tiktok.com/doc/content-posting-api-media-transfer-guide.
"""

from dataclasses import dataclass

_ONE_CHUNK_LIMIT = 64_000_000  # bytes; the largest video sent in one chunk
_CHUNK = 10_000_000  # bytes
_COUNT_LIMIT = 1_000


@dataclass(frozen=True)
class ChunkSpan:
    """One chunk: bytes ``first`` to ``last`` (inclusive, from zero) of ``total``."""

    first: int
    last: int
    total: int

    @property
    def length(self) -> int:
        """Bytes in this chunk."""
        return self.last - self.first + 1

    @property
    def is_final(self) -> bool:
        """Whether the video is complete with this chunk: sending it is what publishes."""
        return self.last == self.total - 1

    @property
    def content_range(self) -> str:
        """The value of the Content-Range header."""
        return f"bytes {self.first}-{self.last}/{self.total}"


@dataclass(frozen=True)
class ChunkPlan:
    """A video of ``video_size`` bytes in ``count`` chunks of ``chunk_size`` bytes; the last takes the remainder."""

    video_size: int
    chunk_size: int
    count: int

    def span(self, index: int) -> ChunkSpan:
        """Chunk ``index``, from zero. Raises IndexError outside of the plan."""
        if not 0 <= index < self.count:
            raise IndexError(f"chunk {index} of {self.count}")
        end = self.video_size if index == self.count - 1 else (index + 1) * self.chunk_size
        return ChunkSpan(index * self.chunk_size, end - 1, self.video_size)

    def spans(self) -> list[ChunkSpan]:
        """All chunks in the order in which they must be sent."""
        return [self.span(index) for index in range(self.count)]

    def index_after(self, range_end: int) -> int | None:
        """The chunk to send next when TikTok says that it holds ``bytes 0-{range_end}``; ``count`` means it has all.

        It is not documented whether that number is the last byte stored or the count of bytes. Only one of the two is
        the border of a chunk, so it is tried both ways. None when neither is: then only a new upload helps.
        """
        for stored in (range_end + 1, range_end):
            if stored == self.video_size:
                return self.count
            if stored % self.chunk_size == 0 and 0 <= stored // self.chunk_size < self.count:
                return stored // self.chunk_size
        return None


def plan_chunks(video_size: int) -> ChunkPlan:
    """The plan for a video of so many bytes.

    64,000,000 bytes are one chunk; 64,000,001 are six, the last of 14,000,001; 4,000,000,000 are 400. Raises ValueError
    for an empty video and for one that needs more than 1000 chunks (above 10 GB).
    """
    if video_size < 1:
        raise ValueError("an empty video cannot be uploaded")
    if video_size <= _ONE_CHUNK_LIMIT:
        return ChunkPlan(video_size, video_size, 1)
    count = video_size // _CHUNK
    if count > _COUNT_LIMIT:
        raise ValueError(f"{video_size} bytes need {count} chunks, TikTok takes {_COUNT_LIMIT}")
    return ChunkPlan(video_size, _CHUNK, count)
