"""What downloads leave in telemetry: bytes sent, and objects that were not there (contract: device 1.11, 4.4, 5.3).

Written soon and not awaited: a crash may lose the last half second of it.
"""

from __future__ import annotations

from collections.abc import Callable

from capstan.files.download import Sent
from capstan.telemetry.days import utc_day
from capstan.telemetry.writer import Telemetry


class DownloadAccounts:
    """The hooks of `Downloads`. `clock` gives epoch seconds.

    `is_known` says whether an app is being served. Objects of other apps are not counted as missing: anybody can ask
    for any name, and each would leave a row behind for ever.
    """

    def __init__(self, telemetry: Telemetry, is_known: Callable[[str], bool], clock: Callable[[], float]) -> None:
        self._telemetry = telemetry
        self._is_known = is_known
        self._clock = clock

    def sent(self, sent: Sent) -> None:
        """Count a download of a device. A command line that only looks whether an object is there is none."""
        if sent.nocache or (sent.device_id is None and not sent.has_key) or not self._telemetry.has_room():
            return
        self._telemetry.batch.add_bandwidth(sent.app_id, sent.device_id, self._now_ms(), sent.sent_bytes)
        self._telemetry.written_soon()

    def missing(self, app_id: str) -> None:
        """Count a download whose object is not there."""
        if self._is_known(app_id) and self._telemetry.has_room():
            self._telemetry.batch.add_missing(app_id, utc_day(self._now_ms()))
            self._telemetry.written_soon()

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)
