"""Where settings come from: flags, then the environment, then one TOML file, then the defaults.

Whatever is wrong ends the start with one sentence that names the setting, where its value came from, the value (never
a secret one) and what is allowed. Names that nobody knows are refused as well: a misspelt setting that is silently
ignored is worse than a server that does not start.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from capstan.settings.table import ENVIRONMENT_PREFIX, SETTINGS, Derived, Setting, Settings, is_postgresql

CONFIG_FILE = "capstan.toml"
CONFIG_FLAG = "config"
CONFIG_VARIABLE = "CAPSTAN_CONFIG"

# Read by the commands that talk to a server, so they may be set on a machine that also runs one.
CLIENT_VARIABLES = ("CAPSTAN_SERVER", "CAPSTAN_API_KEY")

_BY_NAME = {setting.name: setting for setting in SETTINGS}


class SettingsError(Exception):
    """The server must not start: one sentence for the operator."""


@dataclass(frozen=True)
class _Given:
    """A value as it was written, and where; `origin` completes the sentence "… from …"."""

    text: str
    origin: str


def load(flags: Mapping[str, str | None], environ: Mapping[str, str]) -> Settings:
    """Read all sources and check everything.

    `flags` maps names of settings (`data_dir`), and `config` for the TOML file, to the text on the command line; None
    means that the flag was not given. Empty text means "none" or "an empty list" where a setting allows that.
    Raises `SettingsError`.
    """
    given = _from_flags(flags)
    for name, value in _from_environment(environ).items():
        given.setdefault(name, value)
    for name, value in _from_file(*_config_file(flags, environ, given)).items():
        given.setdefault(name, value)
    settings = Settings(**_values(given))
    _check_pairs(settings, given)
    _check_databases(settings, given)
    _check_s3(settings, given)
    return settings


def _from_flags(flags: Mapping[str, str | None]) -> dict[str, _Given]:
    given = {}
    for name, text in flags.items():
        if text is None or name == CONFIG_FLAG:
            continue
        setting = _BY_NAME.get(name)
        if setting is None:
            raise _unknown(f"the flag --{name.replace('_', '-')}", name, _BY_NAME)
        given[name] = _Given(text, f"the flag {setting.flag}")
    return given


def _from_environment(environ: Mapping[str, str]) -> dict[str, _Given]:
    by_variable = {setting.variable: setting for setting in SETTINGS}
    given = {}
    for variable, text in environ.items():
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable in (*CLIENT_VARIABLES, CONFIG_VARIABLE):
            continue
        setting = by_variable.get(variable)
        if setting is None:
            raise _unknown(f"the environment variable {variable}", variable, by_variable)
        given[setting.name] = _Given(text, f"the environment variable {variable}")
    return given


def _config_file(
    flags: Mapping[str, str | None], environ: Mapping[str, str], given: Mapping[str, _Given]
) -> tuple[Path, bool]:
    """The TOML file, and whether somebody named it; the one in the data directory need not exist."""
    named = flags.get(CONFIG_FLAG) or environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named).absolute(), True
    data_dir: Path = _value(_BY_NAME["data_dir"], given.get("data_dir"), {})
    return data_dir / CONFIG_FILE, False


def _from_file(file: Path, named: bool) -> dict[str, _Given]:
    given = {}
    for name, value in _read_toml(file, named).items():
        setting = _BY_NAME.get(name)
        if setting is None:
            raise _unknown(f"{name!r} in the file {file}", name, _BY_NAME)
        if name == "data_dir" and not named:
            raise SettingsError(
                f"data_dir from the file {file} is {setting.kind.show(str(value))}, but the file was found in the data "
                f"directory; allowed: in a file named with --config or {CONFIG_VARIABLE}, or from another source."
            )
        given[name] = _Given(_toml_text(setting, value, file), f"the file {file}")
    return given


def _read_toml(file: Path, named: bool) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as missing:
        if not named:
            return {}
        raise SettingsError(f"The file {file} cannot be read: {missing.strerror}.") from missing
    except OSError as wrong:
        raise SettingsError(f"The file {file} cannot be read: {wrong.strerror}.") from wrong
    except UnicodeDecodeError as wrong:
        raise SettingsError(f"The file {file} cannot be read: it is not UTF-8.") from wrong
    except tomllib.TOMLDecodeError as wrong:
        raise SettingsError(f"The file {file} is not TOML: {wrong}.") from wrong


def _toml_text(setting: Setting, value: Any, file: Path) -> str:
    """The value as the other sources would write it."""
    if isinstance(value, str):
        return value
    text = json.dumps(value, default=str, ensure_ascii=False)
    if isinstance(value, bool | int | float) or (isinstance(value, list) and setting.kind.array):
        return text
    raise _wrong(setting, _Given(text, f"the file {file}"))


def _values(given: Mapping[str, _Given]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        values[setting.name] = _value(setting, given.get(setting.name), values)
    return values


def _value(setting: Setting, given: _Given | None, known: Mapping[str, Any]) -> Any:
    if given is None and isinstance(setting.default, Derived):
        return setting.default.value(known)
    text = given.text if given is not None else str(setting.default)
    try:
        return setting.kind.parse(text.strip())
    except ValueError:
        # Without the cause: it may quote the value.
        raise _wrong(setting, given) from None


def _wrong(setting: Setting, given: _Given | None) -> SettingsError:
    return SettingsError(f"{_is(setting.name, given)}; allowed: {setting.kind.allowed}.")


def _is(name: str, given: _Given | None) -> str:
    """The first half of a sentence: "port from the flag --port is 'abc'"."""
    setting = _BY_NAME[name]
    if given is not None:
        return f"{name} from {given.origin} is {setting.kind.show(given.text)}"
    return f"{name} is {setting.default.text if isinstance(setting.default, Derived) else repr(setting.default)}"


def _unknown(what: str, name: str, known: Iterable[str]) -> SettingsError:
    close = get_close_matches(name, list(known), n=1)
    return SettingsError(
        f"There is no setting for {what}{f'; perhaps {close[0]} is meant' if close else ''}. "
        "Allowed are the names in docs/settings.md."
    )


def _check_pairs(settings: Settings, given: Mapping[str, _Given]) -> None:
    for one, other in (("tls_cert", "tls_key"), ("s3_access_key_id", "s3_secret_access_key")):
        for present, absent in ((one, other), (other, one)):
            if getattr(settings, present) is not None and getattr(settings, absent) is None:
                raise SettingsError(
                    f"{_is(present, given.get(present))}, but {absent} is not set; allowed: both or none."
                )


def _check_databases(settings: Settings, given: Mapping[str, _Given]) -> None:
    registry = _is("database_url", given.get("database_url"))
    telemetry = _is("telemetry_database_url", given.get("telemetry_database_url"))
    if not is_postgresql(settings.database_url):
        if settings.database_listen_url is not None:
            listen = _is("database_listen_url", given.get("database_listen_url"))
            raise SettingsError(f"{listen}, but {registry}; allowed: only together with PostgreSQL.")
        if settings.telemetry_database_url == settings.database_url:
            raise SettingsError(f"{telemetry}, the same as database_url; allowed: another SQLite file.")
    elif not settings.secret_key:
        raise SettingsError(
            f"secret_key is not set, but {registry}, where all nodes must share it; "
            f"allowed: {_BY_NAME['secret_key'].kind.allowed}."
        )
    if is_postgresql(settings.telemetry_database_url) != is_postgresql(settings.database_url):
        raise SettingsError(f"{telemetry}, but {registry}; allowed: both SQLite or both PostgreSQL.")


def _check_s3(settings: Settings, given: Mapping[str, _Given]) -> None:
    if settings.s3_endpoint and settings.s3_endpoint.startswith("http:") and not settings.s3_allow_http:
        raise SettingsError(
            f"{_is('s3_endpoint', given.get('s3_endpoint'))}; allowed: an https:// URL, "
            "or an http:// URL with s3_allow_http set to true."
        )
