"""Settings: where they come from, which source counts, what is refused and with which sentence."""

from __future__ import annotations

import os
import pickle
import re
import stat
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from capstan.settings import (
    SETTINGS,
    LimitedApp,
    Secret,
    Settings,
    SettingsError,
    ensure_secret_key,
    load,
)

KEY = "k" * 32
OTHER_KEY = "o" * 32
PASSWORD = "correct-horse-battery-staple"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refusal(flags: Mapping[str, str | None] | None = None, environ: Mapping[str, str] | None = None) -> str:
    with pytest.raises(SettingsError) as refused:
        load(flags or {}, environ or {})
    sentence = str(refused.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


def test_everything_has_a_default(tmp_path: Path) -> None:
    settings = load({}, {})
    assert settings.data_dir == tmp_path / "capstan-data"
    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 8000, 1)
    assert settings.public_url is None
    assert settings.database_url == f"sqlite:///{tmp_path}/capstan-data/registry.db"
    assert settings.telemetry_database_url == f"sqlite:///{tmp_path}/capstan-data/telemetry.db"
    assert settings.database_listen_url is None
    assert settings.objects_url == f"file://{tmp_path}/capstan-data/objects"
    assert settings.secret_key == ()
    assert settings.max_bundle_bytes == 2**30
    assert settings.max_unpacked_bytes == 4 * 2**30
    assert settings.max_body_bytes == 2 * 2**20
    assert settings.stale_for == 900
    assert settings.default_dialect == "seed"
    assert settings.limited_apps == ()


def test_loading_touches_no_folder(tmp_path: Path) -> None:
    load({}, {})
    assert list(tmp_path.iterdir()) == []


def test_a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default(tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text("port = 3\nworkers = 3\nhost = 'file'\n")
    environ = {"CAPSTAN_CONFIG": "my.toml", "CAPSTAN_PORT": "2", "CAPSTAN_WORKERS": "2"}
    settings = load({"port": "1", "workers": None}, environ)
    assert (settings.port, settings.workers, settings.host, settings.log_level) == (1, 2, "file", "info")


def test_the_config_flag_beats_the_config_variable(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("port = 1")
    (tmp_path / "b.toml").write_text("port = 2")
    assert load({"config": "a.toml"}, {"CAPSTAN_CONFIG": "b.toml"}).port == 1


def test_a_file_in_the_data_directory_is_read_unless_another_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "capstan.toml").write_text("port = 1")
    (tmp_path / "other.toml").write_text("workers = 2")
    assert load({"data_dir": "data"}, {}).port == 1
    named = load({"data_dir": "data", "config": "other.toml"}, {})
    assert (named.port, named.workers) == (8000, 2)


def test_a_named_file_may_move_the_data_directory_but_the_one_found_there_may_not(tmp_path: Path) -> None:
    (tmp_path / "named.toml").write_text("data_dir = 'elsewhere'")
    assert load({"config": "named.toml"}, {}).data_dir == tmp_path / "elsewhere"
    (tmp_path / "capstan-data").mkdir()
    (tmp_path / "capstan-data" / "capstan.toml").write_text("data_dir = 'elsewhere'")
    assert "data_dir from the file" in refusal()


def test_an_empty_value_takes_back_what_the_file_says(tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text("public_url = 'https://a.example'\ntrusted_proxies = ['10.0.0.0/8']")
    settings = load({"config": "my.toml"}, {"CAPSTAN_PUBLIC_URL": "", "CAPSTAN_TRUSTED_PROXIES": ""})
    assert settings.public_url is None
    assert settings.trusted_proxies == ()


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1),
        ("1kB", 1000),
        ("2 MB", 2_000_000),
        ("3GB", 3 * 10**9),
        ("1KiB", 1024),
        ("2MiB", 2 * 2**20),
        ("3gib", 3 * 2**30),
    ],
)
def test_sizes_are_bytes_or_have_a_unit(text: str, number: int) -> None:
    assert load({"max_bundle_bytes": text}, {}).max_bundle_bytes == number


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("90", 90), ("90s", 90), ("15m", 900), ("2h", 7200), ("7d", 604800)]
)
def test_durations_are_seconds_or_have_a_unit(text: str, seconds: int) -> None:
    assert load({"stale_for": text}, {}).stale_for == seconds


def test_lists_are_written_with_commas_or_as_arrays_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text(
        "trusted_proxies = ['10.0.0.0/8', '::1']\n"
        "limited_apps = [{id = 'com.example.a', ignore = 1}, {id = 'com.example.b', ignore = 0.5}]"
    )
    settings = load({"config": "my.toml", "cors_allowed_origins": "https://A.example:8443, myapp://localhost"}, {})
    assert settings.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("::1"))
    assert settings.limited_apps == (LimitedApp("com.example.a", 1), LimitedApp("com.example.b", 0.5))
    assert settings.cors_allowed_origins == ("https://a.example:8443", "myapp://localhost")


def test_the_limit_list_is_the_json_of_the_contract() -> None:
    settings = load({}, {"CAPSTAN_LIMITED_APPS": '[{"id": "com.example.app", "ignore": 0.25}]'})
    assert [(app.app_id, app.ignore) for app in settings.limited_apps] == [("com.example.app", 0.25)]


def test_postgresql_serves_telemetry_and_listening_too() -> None:
    settings = load({"database_url": "postgresql+psycopg://db/capstan"}, {"CAPSTAN_SECRET_KEY": KEY})
    assert settings.database_url == "postgresql://db/capstan"
    assert settings.telemetry_database_url == settings.database_url
    assert settings.database_listen_url == settings.database_url


def test_relative_paths_start_in_the_working_directory(tmp_path: Path) -> None:
    settings = load({"data_dir": "data", "database_url": "sqlite:///r"}, {})
    assert settings.data_dir == tmp_path / "data"
    assert settings.database_url == f"sqlite:///{tmp_path}/r"


WRONG = [
    ("port", "70000"),
    ("port", "-1"),
    ("port", "1_000"),
    ("port", "١"),
    ("workers", "0"),
    ("workers", "65"),
    ("host", ""),
    ("host", "two words"),
    ("public_url", "https://a.example/"),
    ("public_url", "https://a.example/path"),
    ("public_url", "ftp://a.example"),
    ("public_url", "https://a.example:99999"),
    ("public_url", "https://a.example:0"),
    ("public_url", "a.example"),
    ("trusted_proxies", "10.0.0.1/8"),
    ("trusted_proxies", "proxy.example"),
    ("trusted_proxies", "10.0.0.0/8,,::1"),
    ("trusted_proxies", "[1, 2]"),
    ("tls_cert", "missing.pem"),
    ("database_url", "mysql://db/capstan"),
    ("database_url", "sqlite://"),
    ("database_url", "sqlite:///:memory:"),
    ("database_url", "sqlite:///registry.db?mode=ro"),
    ("database_url", "sqlite:///folder/"),
    ("database_url", "postgresql:db"),
    ("database_listen_url", "sqlite:///registry.db"),
    ("objects_url", "https://bucket.example"),
    ("objects_url", "file:///"),
    ("objects_url", "az://account"),
    ("s3_endpoint", "minio:9000"),
    ("max_bundle_bytes", "0"),
    ("max_bundle_bytes", "1.5GiB"),
    ("max_bundle_bytes", "1TB"),
    ("max_bundle_bytes", "many"),
    ("max_zip_ratio", "0"),
    ("brotli_quality", "12"),
    ("default_dialect", "old"),
    ("log_format", ""),
    ("stale_for", "8d"),
    ("stale_for", "1w"),
    ("mask_api_keys", "maybe"),
    ("rate_limit_api_key", "-1"),
    ("cors_allowed_origins", "https://a.example/"),
    ("cors_allowed_origins", "*"),
    ("limited_apps", "com.example.app"),
    ("limited_apps", '[{"id": "com.example.app", "ignore": 2}]'),
    ("limited_apps", '[{"id": "com.example.app", "share": 1}]'),
]


@pytest.mark.parametrize(("name", "text"), WRONG)
def test_a_wrong_value_is_refused_with_its_name_its_source_itself_and_what_is_allowed(name: str, text: str) -> None:
    variable = f"CAPSTAN_{name.upper()}"
    sentence = refusal({}, {variable: text})
    assert sentence.startswith(f"{name} from the environment variable {variable} is ")
    assert "; allowed: " in sentence
    if not name.startswith("database"):
        assert f"is {text!r}; allowed" in sentence


def test_a_refusal_names_the_flag_or_the_file_when_the_value_came_from_there(tmp_path: Path) -> None:
    assert refusal({"log_level": "loud"}).startswith("log_level from the flag --log-level is 'loud'; allowed: ")
    (tmp_path / "my.toml").write_text("port = true")
    assert f"port from the file {tmp_path / 'my.toml'} is 'true'" in refusal({"config": "my.toml"})


@pytest.mark.parametrize("toml", ["port = [1]", "host = {}", "data_dir = ['a']", "stale_for = 07:32:00"])
def test_a_value_of_a_shape_that_the_setting_does_not_take_is_refused(tmp_path: Path, toml: str) -> None:
    (tmp_path / "my.toml").write_text(toml)
    assert "; allowed: " in refusal({"config": "my.toml"})


def test_an_unknown_name_is_refused_in_every_source_and_a_likely_one_is_offered(tmp_path: Path) -> None:
    assert "perhaps CAPSTAN_PORT is meant" in refusal({}, {"CAPSTAN_PROT": "1"})
    assert "the flag --prot; perhaps port is meant" in refusal({"prot": "1"})
    (tmp_path / "my.toml").write_text("prot = 1")
    assert f"'prot' in the file {tmp_path / 'my.toml'}; perhaps port is meant" in refusal({"config": "my.toml"})
    (tmp_path / "my.toml").write_text("[server]\nport = 1")
    assert "'server'" in refusal({"config": "my.toml"})


def test_variables_of_others_and_of_the_client_commands_are_left_alone() -> None:
    environ = {"HOME": "/root", "PORT": "1", "CAPSTAN_SERVER": "https://a.example", "CAPSTAN_API_KEY": "x"}
    assert load({}, environ).port == 8000


def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    assert "missing.toml cannot be read" in refusal({"config": "missing.toml"})
    (tmp_path / "broken.toml").write_text("port = ")
    assert "broken.toml is not TOML" in refusal({"config": "broken.toml"})
    (tmp_path / "latin.toml").write_bytes(b"host = '\xe9'")
    assert "not UTF-8" in refusal({"config": "latin.toml"})
    assert "'broken.toml'; allowed: the path of a folder" in refusal({"data_dir": "broken.toml"})


def test_certificate_and_key_go_together(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").touch()
    (tmp_path / "key.pem").touch()
    settings = load({"tls_cert": "cert.pem", "tls_key": "key.pem"}, {})
    assert (settings.tls_cert, settings.tls_key) == (tmp_path / "cert.pem", tmp_path / "key.pem")
    assert refusal({"tls_cert": "cert.pem"}).endswith("but tls_key is not set; allowed: both or none.")
    assert refusal({"tls_key": "key.pem"}).endswith("but tls_cert is not set; allowed: both or none.")


def test_s3_credentials_go_together_and_plain_http_needs_consent() -> None:
    assert "s3_secret_access_key is not set" in refusal({"s3_access_key_id": "AKIA"})
    assert "s3_access_key_id is not set" in refusal({}, {"CAPSTAN_S3_SECRET_ACCESS_KEY": PASSWORD})
    assert "s3_allow_http" in refusal({"s3_endpoint": "http://minio.example:9000"})
    settings = load({"s3_endpoint": "http://minio.example:9000/", "s3_allow_http": "true"}, {})
    assert settings.s3_endpoint == "http://minio.example:9000"


def test_databases_that_do_not_fit_together_are_refused() -> None:
    key = {"CAPSTAN_SECRET_KEY": KEY}
    postgresql = "postgresql://db/capstan"
    assert "secret_key is not set" in refusal({"database_url": postgresql})
    assert "both SQLite or both PostgreSQL" in refusal({"telemetry_database_url": postgresql}, key)
    mixed = {"database_url": postgresql, "telemetry_database_url": "sqlite:///telemetry.db"}
    assert "both SQLite or both PostgreSQL" in refusal(mixed, key)
    assert "only together with PostgreSQL" in refusal({"database_listen_url": postgresql}, key)
    same = {"telemetry_database_url": "sqlite:///capstan-data/registry.db"}
    assert "another SQLite file" in refusal(same)


SECRET_SOURCES = [
    ("database_url", f"mysql://capstan:{PASSWORD}@db/capstan"),
    ("telemetry_database_url", f"postgresql://db/capstan?password={PASSWORD}"),
    ("database_listen_url", f"postgresql://capstan:{PASSWORD}@db/capstan"),
    ("database_url", PASSWORD),
    ("secret_key", f"{PASSWORD},{KEY}"),
    ("s3_endpoint", f"https://user:{PASSWORD}@minio.example"),
    ("public_url", f"https://user:a/b@{PASSWORD}@a.example"),
    ("objects_url", f"s3://AKIA:{PASSWORD}@bucket"),
    ("objects_url", f"az://account/container?sig={PASSWORD}"),
]


@pytest.mark.parametrize(("name", "text"), SECRET_SOURCES)
def test_no_refusal_shows_a_password(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "my.toml").write_text(f"{name} = '{text}'")
    for sentence in (refusal({}, {f"CAPSTAN_{name.upper()}": text}), refusal({"config": "my.toml"})):
        assert name in sentence
        assert PASSWORD not in sentence


def test_no_representation_of_settings_shows_a_secret() -> None:
    environ = {
        "CAPSTAN_DATABASE_URL": f"postgresql://capstan:{PASSWORD}@db/capstan",
        "CAPSTAN_SECRET_KEY": PASSWORD + KEY,
        "CAPSTAN_S3_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "CAPSTAN_S3_SECRET_ACCESS_KEY": PASSWORD,
    }
    settings = load({}, environ)
    for shown in (repr(settings), str(settings), f"{settings.secret_key} {settings.s3_secret_access_key}"):
        assert PASSWORD not in shown
    assert "AKIAEXAMPLE" in repr(settings)
    assert settings.s3_secret_access_key is not None
    assert settings.s3_secret_access_key.reveal() == PASSWORD


@pytest.mark.parametrize("text", [KEY[1:], f"{KEY},short", KEY + " " + KEY, KEY + "é"])
def test_a_key_that_is_short_or_not_plain_text_is_refused(text: str) -> None:
    assert "at least 32" in refusal({}, {"CAPSTAN_SECRET_KEY": text})


def test_secrets_are_offered_no_flag() -> None:
    assert {setting.name for setting in SETTINGS if setting.secret} == {"secret_key", "s3_secret_access_key"}


def test_settings_cannot_be_changed_and_travel_to_child_processes() -> None:
    settings = load({}, {"CAPSTAN_SECRET_KEY": KEY, "CAPSTAN_TRUSTED_PROXIES": "::1"})
    assert pickle.loads(pickle.dumps(settings)) == settings
    with pytest.raises(AttributeError):
        settings.port = 1  # type: ignore[misc]  # this is what must fail


def test_the_table_has_each_setting_with_a_default_and_a_meaning() -> None:
    assert [setting.name for setting in SETTINGS] == list(Settings.__dataclass_fields__)
    for setting in SETTINGS:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", setting.name)
        assert setting.meaning.endswith(".")
        assert "|" not in setting.meaning + setting.kind.allowed


@budget(max_examples=50, deadline=None)
@given(name=st.sampled_from([setting.name for setting in SETTINGS]), text=st.text(max_size=30))
def test_any_text_is_either_read_or_refused_with_one_sentence(name: str, text: str) -> None:
    sentence = ""
    try:
        load({name: text}, {})
    except SettingsError as refused:
        sentence = str(refused)
    assert sentence == "" or (name in sentence and "\n" not in sentence)


def test_the_key_file_is_made_once_for_the_owner_only(tmp_path: Path) -> None:
    settings = load({"data_dir": "new/data"}, {})
    keys = ensure_secret_key(settings)
    file = tmp_path / "new" / "data" / "secret.key"
    assert [len(key.reveal()) for key in keys] == [64]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert ensure_secret_key(settings) == keys
    assert os.listdir(file.parent) == ["secret.key"]


def test_two_servers_do_not_share_a_made_key() -> None:
    one, other = (ensure_secret_key(load({"data_dir": folder}, {})) for folder in ("one", "other"))
    assert one != other


def test_a_key_that_was_set_is_used_and_no_file_is_made(tmp_path: Path) -> None:
    settings = load({}, {"CAPSTAN_SECRET_KEY": f"{KEY}, {OTHER_KEY}"})
    assert ensure_secret_key(settings) == (Secret(KEY), Secret(OTHER_KEY))
    assert list(tmp_path.iterdir()) == []


def test_a_key_file_can_hold_several_keys_for_rotation(tmp_path: Path) -> None:
    (tmp_path / "capstan-data").mkdir()
    (tmp_path / "capstan-data" / "secret.key").write_text(f"{KEY},{OTHER_KEY}\n")
    assert ensure_secret_key(load({}, {})) == (Secret(KEY), Secret(OTHER_KEY))


@pytest.mark.parametrize("content", [b"", b"too-short", b"\xff" * 40])
def test_a_broken_key_file_is_refused_and_not_replaced(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "capstan-data" / "secret.key"
    file.parent.mkdir()
    file.write_bytes(content)
    with pytest.raises(SettingsError, match="secret_key from the file") as refused:
        ensure_secret_key(load({}, {}))
    assert "too-short" not in str(refused.value)
    assert file.read_bytes() == content


def test_a_data_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    settings = load({"data_dir": "file/data"}, {})
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=r"secret\.key cannot be used"):
        ensure_secret_key(settings)
