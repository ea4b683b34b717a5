"""Wire shapes and routes of API keys, in both dialects (contract: public 12)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from starlette.responses import Response

from capstan.access.keys import SecretBox
from capstan.access.modes import KEY_MODES, key_mode, limited_to_apps, limited_to_orgs
from capstan.access.principal import KeyMode
from capstan.apikeys import creating, keyring, updating
from capstan.apikeys.creating import AskedKey
from capstan.apikeys.granting import AskedBinding
from capstan.apikeys.keyring import ApiKey
from capstan.apikeys.updating import AskedChange
from capstan.db.session import ReadSession
from capstan.web.answers import json_answer
from capstan.web.endpoint import Call, Credentials, Dialect, Endpoint, NoInput, ReadCall, Reader, WriteCall

_NO_STORE = {"cache-control": "no-store"}


@dataclass(frozen=True, slots=True)
class KeyRules:
    """What the operator decided about keys."""

    always_masked: bool = False
    """Lists never show a secret, not even in the older dialect (contract: public 12.2)."""
    keys_create_keys: bool = True
    """A key may make keys of a mode (contract: public 12.3)."""


class Key(Struct, frozen=True, kw_only=True):
    """A key without its secret, or (older dialect) with the secret as far as the caller may see it."""

    id: int
    user_id: str
    name: str
    rbac_id: str
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    is_hashed_key: bool
    mode: KeyMode
    limited_to_orgs: tuple[str, ...]
    limited_to_apps: tuple[str, ...]
    global_permissions: tuple[str, ...]
    key: str | UnsetType = UNSET


class KeyWithSecret(Key, frozen=True, kw_only=True):
    """A key whose secret is new, to be shown now; `key_hash` is null unless only the hash is kept."""

    key: str
    key_hash: str | None


class NewKey(KeyWithSecret, frozen=True, kw_only=True):
    """A new key: once flat, once as `apikey`."""

    apikey: KeyWithSecret


class Deleted(Struct, frozen=True, omit_defaults=True):
    """The acknowledgement, with as much as the dialect knows."""

    success: bool
    status: str | UnsetType = UNSET


def _schema(**schema: Any) -> Meta:
    return Meta(extra_json_schema=schema)


# Every member has a code and a place of its own, so nothing is refused by its type here.
Text = Annotated[Any, _schema(type="string")]
Flag = Annotated[Any, _schema(type="boolean")]
Texts = Annotated[Any, _schema(type="array", items={"type": "string"})]
Moment = Annotated[Any, _schema(type=["string", "null"], format="date-time")]
Mode = Annotated[Any, _schema(enum=list(KEY_MODES))]
Bindings = Annotated[Any, _schema(type="array", items=msgspec.json.schema(AskedBinding)["$defs"]["AskedBinding"])]
Identifier = Annotated[Any, _schema(type=["integer", "string"])]


class KeyCreation(Struct, frozen=True):
    """`bindings` make a key of today; `org_id` and `mode` one of the older kind."""

    name: Text = UNSET
    bindings: Bindings = UNSET
    expires_at: Moment = UNSET
    hashed: Flag = UNSET
    global_permissions: Texts = UNSET
    org_id: Text = UNSET
    mode: Mode = UNSET
    app_id: Text = UNSET
    limited_to_apps: Texts = UNSET
    limited_to_orgs: Texts = UNSET


class KeyChange(Struct, frozen=True):
    """What is left out stays; `expires_at` null takes the expiry away."""

    id: Identifier = UNSET
    name: Text = UNSET
    expires_at: Moment = UNSET
    regenerate: Flag = UNSET
    bindings: Bindings = UNSET
    global_permissions: Texts = UNSET


class KeyPath(Struct, frozen=True):
    id: str


class KeyHandlers:
    """The handlers, bound to the box that seals secrets and to the operator's rules."""

    def __init__(self, box: SecretBox, rules: KeyRules) -> None:
        self._box = box
        self._rules = rules

    def get_all(self, call: ReadCall, _nothing: NoInput) -> Response:
        is_seed = call.dialect is Dialect.SEED
        keys = keyring.list_keys(call.session, call.principal, shows_caller=is_seed)
        return json_answer([self._readable(call, key) for key in keys], headers=_NO_STORE)

    def get_one(self, call: ReadCall, given: KeyPath) -> Response:
        key = keyring.read(call.session, call.principal, given.id)
        return json_answer(self._readable(call, key), headers=_NO_STORE)

    def post(self, call: WriteCall, given: KeyCreation) -> Response:
        asked = AskedKey(**_sent(given))  # type: ignore[typeddict-item]  # the Struct has the same members
        # The input alone decides, whatever the header and the credential say (contract: public 12.3).
        if "bindings" not in asked and ("org_id" in asked or "mode" in asked):
            minted = creating.create_from_mode(
                call.session, self._box, call.principal, asked, keys_may=self._rules.keys_create_keys
            )
        else:
            minted = creating.create_bound(call.session, self._box, call.principal, asked)
        members = _with_secret(call.session, keyring.load(call.session, minted.key_id), minted.secret)
        return json_answer(NewKey(**members, apikey=KeyWithSecret(**members)), headers=_NO_STORE)

    def put(self, call: WriteCall, given: KeyChange) -> Response:
        asked = AskedChange(**_sent(given))  # type: ignore[typeddict-item]  # the Struct has the same members
        key, secret = updating.update(call.session, self._box, call.principal, asked)
        if secret is None:
            return json_answer(Key(**_members(call.session, key)))
        return json_answer(KeyWithSecret(**_with_secret(call.session, key, secret)), headers=_NO_STORE)

    def delete(self, call: WriteCall, given: KeyPath) -> Deleted:
        keyring.delete(call.session, call.principal, given.id)
        return Deleted(True, UNSET if call.dialect is Dialect.SEED else "ok")

    def _readable(self, call: Call[ReadSession], key: ApiKey) -> Key:
        members = _members(call.session, key)
        if call.dialect is Dialect.MODERN:
            return Key(**members)
        secret = keyring.shown_secret(
            call.session, self._box, call.principal, key, always_masked=self._rules.always_masked
        )
        return Key(**members, key=secret)


def _sent(given: Struct) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(given).items() if value is not UNSET}


_COPIED = ("id", "user_id", "name", "rbac_id", "created_at", "updated_at", "expires_at")


def _members(session: ReadSession, key: ApiKey) -> dict[str, Any]:
    return {
        **{name: key.row[name] for name in _COPIED},
        "is_hashed_key": key.is_hashed,
        "mode": key_mode(key.row["mode"], key.bindings, session.now),
        "limited_to_orgs": limited_to_orgs(key.bindings, session.now),
        "limited_to_apps": limited_to_apps(key.bindings, session.now),
        "global_permissions": key.global_permissions,
    }


def _with_secret(session: ReadSession, key: ApiKey, secret: str) -> dict[str, Any]:
    return {**_members(session, key), "key": secret, "key_hash": key.row["key_hash"] if key.is_hashed else None}


_POLICY_CODES = ("invalid_expiration_date", "expiration_required", "expiration_exceeds_max")
_BINDING_CODES = ("invalid_bindings", "bindings_required", "invalid_global_permissions", "forbidden_binding")


def endpoints(box: SecretBox, rules: KeyRules) -> tuple[Endpoint, ...]:
    """The routes of /apikey."""
    handlers = KeyHandlers(box, rules)
    put = Endpoint(
        method="PUT",
        path="/apikey",
        summary="Rename an API key, change its expiry or power, give it a new secret",
        handler=handlers.put,
        input=KeyChange,
        output=Key | KeyWithSecret,
        errors=(
            "cannot_update_apikey",
            "api_key_id_required",
            "invalid_id_format",
            "name_must_be_a_string",
            "regenerate_must_be_boolean",
            "no_valid_fields_provided_for_update",
            "api_key_not_found_or_access_denied",
            "binding_failed",
            "duplicate_binding",
            "failed_to_update_apikey",
            *_POLICY_CODES,
            *_BINDING_CODES,
        ),
        permission="org.manage_apikeys",
        credentials=Credentials.ANY,
        accepts_empty=True,
        refusal="failed_to_update_apikey",
        refusal_status=500,
    )
    return (
        Endpoint(
            method="GET",
            path="/apikey",
            summary="List API keys",
            handler=handlers.get_all,
            output=list[Key],
            errors=("cannot_list_apikeys",),
            permission="org.manage_apikeys",
            credentials=Credentials.ANY,
            reader=Reader.PATH,
        ),
        Endpoint(
            method="GET",
            path="/apikey/:id",
            summary="Read an API key",
            handler=handlers.get_one,
            input=KeyPath,
            output=Key,
            errors=("cannot_get_apikey", "invalid_id_format", "failed_to_get_apikey"),
            permission="org.manage_apikeys",
            credentials=Credentials.ANY,
            reader=Reader.PATH,
        ),
        Endpoint(
            method="POST",
            path="/apikey",
            summary="Create an API key with role bindings, or (older shape) with a mode",
            handler=handlers.post,
            input=KeyCreation,
            output=NewKey,
            errors=(
                "cannot_create_apikey",
                "name_is_required",
                "binding_failed",
                "binding_creation_failed",
                "mode_is_required",
                "invalid_mode",
                "org_id_is_required",
                "org_not_found",
                "app_not_found",
                *_POLICY_CODES,
                *_BINDING_CODES,
            ),
            permission="org.manage_apikeys",
            credentials=Credentials.ANY,
            accepts_empty=True,
            refusal="binding_creation_failed",
        ),
        put,
        replace(put, path="/apikey/:id"),
        Endpoint(
            method="DELETE",
            path="/apikey/:id",
            summary="Delete an API key; it stops working at once",
            handler=handlers.delete,
            input=KeyPath,
            output=Deleted,
            errors=("cannot_delete_apikey", "invalid_id_format", "api_key_not_found", "failed_to_delete_apikey"),
            permission="org.manage_apikeys",
            credentials=Credentials.ANY,
            reader=Reader.PATH,
            refusal="failed_to_delete_apikey",
            refusal_status=500,
        ),
    )
