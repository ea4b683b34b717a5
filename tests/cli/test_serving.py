"""`capstan serve` as a service manager sees it: start, words, signals, exit codes, several workers."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.cli.conftest import RunningServer
from tests.cli.terminal import Typist, serve

PATIENCE_SECONDS = 30


def rest_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.read()


def wait_for_workers(process: subprocess.Popen[str], but: set[int]) -> set[int]:
    """The server's two processes, none of them one of `but`."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        found = {child.pid for child in psutil.Process(process.pid).children()}
        if len(found) == 2 and not found & but:
            return found
        time.sleep(0.05)
    raise AssertionError("the worker was not replaced")


def test_the_first_start_shows_credentials_and_no_other_does(anybody: Typist) -> None:
    with serve(anybody) as (process, url):
        assert httpx.get(f"{url}/ok").json() == {"status": "ok"}
        process.send_signal(signal.SIGTERM)
        first = rest_of(process)
        assert process.wait(PATIENCE_SECONDS) == 0
    port = url.rpartition(":")[2]
    with serve(anybody, "--port", port) as (process, again):
        process.send_signal(signal.SIGINT)
        second = rest_of(process)
        assert process.wait(PATIENCE_SECONDS) == 0
    assert again == url
    assert "password" in first
    assert f"export CAPSTAN_SERVER={url}" in first
    assert "capstan bundle upload DIR --app com.example.app --channel production" in first
    assert second == ""


def test_several_workers_share_a_port_and_a_dead_one_is_replaced(anybody: Typist) -> None:
    with serve(anybody, "--workers", "2") as (process, url):
        before = wait_for_workers(process, set())
        os.kill(min(before), signal.SIGKILL)
        after = wait_for_workers(process, {min(before)})
        assert max(before) in after
        assert {httpx.get(f"{url}/ok").status_code for _ in range(10)} == {200}
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0
        assert not any(psutil.pid_exists(pid) for pid in after)


def test_no_worker_outlives_a_killed_parent(anybody: Typist) -> None:
    with serve(anybody, "--workers", "2", "--host", "::1") as (process, url):
        assert url.startswith("http://[::1]:")
        assert httpx.get(f"{url}/ok").status_code == 200
        workers = [psutil.Process(pid) for pid in wait_for_workers(process, set())]
        process.kill()
        _gone, alive = psutil.wait_procs(workers, PATIENCE_SECONDS)
        assert alive == []


def test_it_serves_https_with_a_certificate(anybody: Typist) -> None:
    certificate, key = certificate_for("localhost", anybody.folder)
    with serve(anybody, "--tls-cert", certificate, "--tls-key", key) as (_process, url):
        assert url.startswith("https://127.0.0.1:")
        trusting = ssl.create_default_context(cafile=str(certificate))
        answer = httpx.get(f"{url.replace('127.0.0.1', 'localhost')}/ok", verify=trusting)
        assert answer.json() == {"status": "ok"}
        assert "server" not in answer.headers


def test_a_port_in_use_changes_nothing_and_is_one_sentence(anybody: Typist, server: RunningServer) -> None:
    port = server.url.rpartition(":")[2]
    refused = anybody.type("serve", "--data-dir", "data", "--port", port)
    assert refused.code == 1
    assert refused.sentence.startswith(f"Port {port} on 127.0.0.1 is in use")
    assert not (anybody.folder / "data").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--port", "abc"), "port from the flag --port is 'abc'; allowed: a whole number from 0 to 65535."),
        (("--config", "nowhere.toml"), "cannot be read: No such file or directory."),
    ],
)
def test_wrong_settings_have_their_own_exit_code(anybody: Typist, arguments: tuple[str, str], sentence: str) -> None:
    refused = anybody.type("serve", "--data-dir", "data", *arguments)
    assert (refused.code, sentence in refused.sentence) == (2, True)


def test_a_key_of_another_certificate_is_noticed_before_the_start(anybody: Typist) -> None:
    certificate, _key = certificate_for("localhost", anybody.folder / "one")
    _certificate, key = certificate_for("localhost", anybody.folder / "other")
    refused = anybody.type("serve", "--port", "0", "--tls-cert", certificate, "--tls-key", key)
    assert refused.code == 2
    assert "the key does not belong to the certificate" in refused.sentence


def test_a_data_directory_below_a_file_is_one_sentence(anybody: Typist) -> None:
    (anybody.folder / "file").write_text("")
    refused = anybody.type("setup", "--data-dir", "file/data")
    assert (refused.code, "Not a directory." in refused.sentence) == (2, True)


def certificate_for(host: str, folder: Path) -> tuple[Path, Path]:
    """A certificate that signs itself, and its key."""
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "cert.pem", folder / "key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    files[1].chmod(0o600)
    return files
