"""How a step of a download says that it failed: with the action of the event that reports it (contract: device 2.6)."""

from __future__ import annotations


class StepError(Exception):
    """`action` is the event to send; `file` names the delta file it is about, "" for the whole bundle."""

    def __init__(self, action: str, file: str = "") -> None:
        super().__init__(f"{action} {file}".strip())
        self.action = action
        self.file = file

    def subject(self, version: str) -> str:
        """The event's `version_name`: the version, or `version:file`."""
        return f"{version}:{self.file}" if self.file else version
