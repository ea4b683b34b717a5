"""The file that `capstan login` writes: one server and one key, readable by its owner only."""

from __future__ import annotations

import json
import os
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from capstan.cli.failures import WRONG_USAGE, Failure


@dataclass(frozen=True, slots=True)
class Login:
    server: str
    key: str


def login_file(environ: Mapping[str, str]) -> Path:
    """`capstan/config.toml` where the XDG rules put configuration."""
    home = environ.get("XDG_CONFIG_HOME", "")
    base = Path(home) if os.path.isabs(home) else Path.home() / ".config"
    return base / "capstan" / "config.toml"


def read_login(file: Path) -> Login | None:
    """The login, None if nobody logged in. Ends the command for a file that cannot be read."""
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
        return Login(str(content["server"]), str(content["key"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError):
        raise Failure(f"The file {file} cannot be read; `capstan login` writes it anew.", WRONG_USAGE) from None


def write_login(file: Path, login: Login) -> None:
    """Replace the file whole. Raises OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    # A string of JSON is one of TOML too, as long as it has no surrogates, which these are checked for.
    text = f"server = {json.dumps(login.server)}\nkey = {json.dumps(login.key)}\n"
    descriptor, draft = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.replace(draft, file)
    except BaseException:
        os.unlink(draft)
        raise
