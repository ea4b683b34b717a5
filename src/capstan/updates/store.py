"""SQL of the device plane: what a snapshot is built from, and the few look-ups by key beside it.

Everything is plain SQL text that both dialects understand, because on SQLite it runs on the event loop through the
standard library's driver, where a look-up costs microseconds. `?` marks a parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from capstan.updates.snapshot import (
    AppSnapshot,
    Bundle,
    Channel,
    DeviceState,
    ManifestFile,
    OrgPlan,
)

Query = Callable[[str, Sequence[Any]], Sequence[Any]]
"""Runs one statement and gives its rows by column name."""

_BUNDLE_COLUMNS = (
    "id, name, checksum, session_key, key_id, external_url, r2_path, min_update_version, link, comment, manifest_count"
)

_HAS_DEVICE_STATE = "a.channel_device_count + a.device_pin_count + a.channel_self_count > 0 as has_device_state"
_MARK = f"select a.id, a.revision, {_HAS_DEVICE_STATE} from apps a where a.app_id = ?"
_MARKS = f"select a.app_id, a.id, a.revision, {_HAS_DEVICE_STATE} from apps a where a.app_id in ({{places}})"
_APP = f"""
    select a.id, a.app_id, a.owner_org, a.revision, a.expose_metadata, a.allow_device_custom_id,
           a.block_provider_infra_requests, {_HAS_DEVICE_STATE},
           o.customer_id, o.has_usage_credits, o.trial_at, o.plan_status, o.mau_exceeded, o.bandwidth_exceeded,
           o.storage_exceeded
    from apps a left join orgs o on o.id = a.owner_org where a.app_id = ?
"""
_CHANNELS = "select * from channels where app_id = ?"
_LINKED_BUNDLES = f"""
    select {_BUNDLE_COLUMNS} from app_versions
    where app_id = ? and not deleted and id in (
        select version from channels where app_id = ? and version is not null
        union select rollout_version from channels where app_id = ? and rollout_version is not null)
"""
_BUNDLE_BY_NAME = f"select {_BUNDLE_COLUMNS}, deleted from app_versions where app_id = ? and name = ?"
_CHANNELS_OF_DEVICES = """
    select 0 as is_own, app_id, device_id, channel_id from channel_devices where {keys}
    union all select 1, app_id, device_id, channel_id from channel_self_choices where {keys}
"""
_PINS = f"""
    select p.app_id, p.device_id, {", ".join(f"v.{name}" for name in _BUNDLE_COLUMNS.split(", "))}
    from device_pins p join app_versions v on v.id = p.app_version_id and not v.deleted where {{keys}}
"""
_MANIFEST = "select file_name, file_hash, s3_path, file_size from manifest where app_version_id = ? order by file_name"
_FILE_SIZES = """
    select m.file_hash, max(m.file_size) as size
    from app_versions v join manifest m on m.app_version_id = v.id
    where v.app_id = ? and not v.deleted and m.file_size > 0 and {condition} group by m.file_hash
"""
# The concatenation keeps the database from looking up each hash: one that many bundles share has as many rows.
_OF_BUNDLE = "v.id = ? and m.file_hash || '' in ({places})"
_OF_ANY_BUNDLE = "m.file_hash in ({places})"
_HASHES_AT_ONCE = 500

DeviceKey = tuple[str, str]
"""App id and lower-case device id."""

Mark = tuple[str, int, bool]
"""The app's row id, its revision, and whether any of its devices has state of its own: what makes a snapshot stale."""


def mark(query: Query, app_id: str) -> Mark | None:
    """The present mark of an app, None if there is no such app."""
    rows = query(_MARK, (app_id,))
    return _mark(rows[0]) if rows else None


def marks(query: Query, app_ids: Sequence[str]) -> dict[str, Mark]:
    """The present marks of several apps; those that are gone are left out."""
    places = ", ".join("?" * len(app_ids))
    rows = query(_MARKS.format(places=places), app_ids) if app_ids else []
    return {row["app_id"]: _mark(row) for row in rows}


def load_app(query: Query, app_id: str) -> AppSnapshot | None:
    """The app as it is now, None if there is no such app. Run it in one transaction."""
    rows = query(_APP, (app_id,))
    if not rows:
        return None
    app = rows[0]
    bundles = {row["id"]: _bundle(row) for row in query(_LINKED_BUNDLES, (app_id, app_id, app_id))}
    return AppSnapshot(
        app_id=app["app_id"],
        row_id=app["id"],
        owner_org=app["owner_org"],
        revision=app["revision"],
        plan=_plan(app),
        channels=tuple(_channel(row, bundles) for row in query(_CHANNELS, (app_id,))),
        expose_metadata=bool(app["expose_metadata"]),
        allow_device_custom_id=bool(app["allow_device_custom_id"]),
        block_provider_infra_requests=bool(app["block_provider_infra_requests"]),
        has_device_state=bool(app["has_device_state"]),
    )


def mark_of(snapshot: AppSnapshot) -> Mark:
    """The mark that the snapshot was taken at."""
    return snapshot.row_id, snapshot.revision, snapshot.has_device_state


def load_device_states(query: Query, devices: Sequence[DeviceKey]) -> dict[DeviceKey, DeviceState]:
    """Override, own choice and pin of several devices; those without any are left out."""
    places = " or ".join(["(app_id = ? and device_id = ?)"] * len(devices))
    parameters = [part for key in devices for part in key]
    overrides: dict[DeviceKey, int] = {}
    choices: dict[DeviceKey, int] = {}
    for row in query(_CHANNELS_OF_DEVICES.format(keys=places), parameters * 2):
        (choices if row["is_own"] else overrides)[_device(row)] = row["channel_id"]
    pins_where = places.replace("app_id", "p.app_id").replace("device_id", "p.device_id")
    pins = {_device(row): _bundle(row) for row in query(_PINS.format(keys=pins_where), parameters)}
    return {
        key: DeviceState(override_channel_id=overrides.get(key), self_channel_id=choices.get(key), pinned=pins.get(key))
        for key in overrides.keys() | choices.keys() | pins.keys()
    }


def find_bundle(query: Query, app_id: str, name: str) -> tuple[int, bool] | None:
    """Id of the bundle of this name and whether it is live; None if there never was one."""
    rows = query(_BUNDLE_BY_NAME, (app_id, name))
    return (rows[0]["id"], not rows[0]["deleted"]) if rows else None


def file_sizes(query: Query, app_id: str, bundle_id: int | None, hashes: Sequence[str]) -> dict[str, int]:
    """The largest size in bytes that is known of each file hash, in one live bundle of the app or (None) in any."""
    condition, first = (_OF_ANY_BUNDLE, (app_id,)) if bundle_id is None else (_OF_BUNDLE, (app_id, bundle_id))
    sizes: dict[str, int] = {}
    for start in range(0, len(hashes), _HASHES_AT_ONCE):
        chunk = hashes[start : start + _HASHES_AT_ONCE]
        statement = _FILE_SIZES.format(condition=condition.format(places=", ".join("?" * len(chunk))))
        sizes.update((row["file_hash"], row["size"]) for row in query(statement, (*first, *chunk)))
    return sizes


def ping(query: Query) -> None:
    """Ask the least that shows whether the registry answers."""
    query("select 1", ())


def load_manifest(query: Query, bundle_id: int) -> tuple[ManifestFile, ...]:
    """All delta files of a bundle, by name."""
    return tuple(
        ManifestFile(row["file_name"], row["file_hash"], row["s3_path"], row["file_size"])
        for row in query(_MANIFEST, (bundle_id,))
    )


def _device(row: Mapping[str, Any]) -> DeviceKey:
    return row["app_id"], row["device_id"]


def _mark(row: Mapping[str, Any]) -> Mark:
    return row["id"], row["revision"], bool(row["has_device_state"])


def _plan(row: Mapping[str, Any]) -> OrgPlan:
    return OrgPlan(
        customer_id=row["customer_id"],
        has_usage_credits=bool(row["has_usage_credits"]),
        trial_ends=_day(row["trial_at"]),
        status=row["plan_status"],
        mau_exceeded=bool(row["mau_exceeded"]),
        bandwidth_exceeded=bool(row["bandwidth_exceeded"]),
        storage_exceeded=bool(row["storage_exceeded"]),
    )


def _day(moment: str | datetime | None) -> date | None:
    if moment is None:
        return None
    return (datetime.fromisoformat(moment) if isinstance(moment, str) else moment).date()


def _bundle(row: Mapping[str, Any]) -> Bundle:
    return Bundle(
        id=row["id"],
        name=row["name"],
        checksum=row["checksum"],
        session_key=row["session_key"],
        key_id=row["key_id"],
        external_url=row["external_url"],
        r2_path=row["r2_path"],
        min_update_version=row["min_update_version"],
        link=row["link"],
        comment=row["comment"],
        has_manifest=row["manifest_count"] > 0,
    )


def _channel(row: Mapping[str, Any], bundles: Mapping[int, Bundle]) -> Channel:
    return Channel(
        id=row["id"],
        name=row["name"],
        version_id=row["version"],
        stable=bundles.get(row["version"]),
        public=bool(row["public"]),
        ios=bool(row["ios"]),
        android=bool(row["android"]),
        electron=bool(row["electron"]),
        allow_device_self_set=bool(row["allow_device_self_set"]),
        allow_emulator=bool(row["allow_emulator"]),
        allow_device=bool(row["allow_device"]),
        allow_dev=bool(row["allow_dev"]),
        allow_prod=bool(row["allow_prod"]),
        disable_auto_update=row["disable_auto_update"],
        disable_auto_update_under_native=bool(row["disable_auto_update_under_native"]),
        rollout=bundles.get(row["rollout_version"]),
        rollout_enabled=bool(row["rollout_enabled"]),
        rollout_percentage_bps=row["rollout_percentage_bps"],
        rollout_id=row["rollout_id"],
        rollout_paused=row["rollout_paused_at"] is not None,
    )
