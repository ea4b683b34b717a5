"""What a test knows of a server that gets killed: what it was asked, what it answered, and so what must be true.

A request without an answer may have been carried out or not, but never half. After the restart the test looks, and the
request counts as what it turns out to have been.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SentEvent:
    """An event of a device that sends no other. `stamp` is the sender's own time in milliseconds, if it tells any."""

    device_id: str
    action: str
    version: str
    stamp: int | None


@dataclass
class Ledger:
    """Bundles by version, and the events since the last start. `lasting` bundles are never deleted."""

    lasting: frozenset[str]
    offered: str
    """The version of the last upload to the channel that was answered."""
    ever_offered: set[str] = field(default_factory=set)
    """Versions that the channel was ever asked to offer."""
    published: set[str] = field(default_factory=set)
    """Answered uploads that nobody asked to delete, beside `lasting`."""
    unsure_uploads: dict[str, bool] = field(default_factory=dict)
    """Uploads without an answer, and whether the channel was to offer them."""
    unsure_deletes: set[str] = field(default_factory=set)
    events: list[SentEvent] = field(default_factory=list)
    """Those that were accepted."""
    unsure_events: list[SentEvent] = field(default_factory=list)
    _versions: int = 0

    @property
    def live(self) -> set[str]:
        """What the server must have when nothing is unsure."""
        return self.published | self.lasting

    def next_version(self) -> str:
        self._versions += 1
        return f"1.1.{self._versions}"

    def upload_begins(self, version: str, *, on_channel: bool) -> None:
        self.unsure_uploads[version] = on_channel
        if on_channel:
            self.ever_offered.add(version)

    def upload_answered(self, version: str) -> None:
        if self.unsure_uploads.pop(version):
            self.offered = version
        self.published.add(version)

    def may_be_deleted(self) -> list[str]:
        return sorted(self.published - {self.offered})

    def delete_begins(self, version: str) -> None:
        self.published.remove(version)
        self.unsure_deletes.add(version)

    def delete_settled(self, version: str, *, gone: bool) -> None:
        self.unsure_deletes.remove(version)
        if not gone:
            self.published.add(version)

    def forget_events(self) -> None:
        """They were found to be as they must."""
        self.events.clear()
        self.unsure_events.clear()
