"""The stores for commands on the server's machine, and what can be wrong with them in a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from capstan.access.principal import SystemPrincipal
from capstan.cli.failures import WRONG_USAGE, Failure
from capstan.cli.quiet import configure_logs
from capstan.db.migrate import SchemaTooNewError
from capstan.errors import Problem
from capstan.settings import Settings, SettingsError
from capstan.setup.service import SetupRefused
from capstan.stores import Stores, open_stores

OPERATOR = SystemPrincipal("command line")


@contextmanager
def stores(settings: Settings) -> Iterator[Stores]:
    """The open stores. Whatever keeps them from being used, and every refusal inside the block, is a `Failure`."""
    configure_logs(settings)
    try:
        with open_stores(settings) as opened:
            yield opened
    except (SetupRefused, SchemaTooNewError) as refusal:
        raise Failure(str(refusal)) from None
    except Problem as problem:
        raise Failure(f"{problem.message} ({problem.code}).") from None
    except SettingsError as wrong:
        raise Failure(str(wrong), WRONG_USAGE) from None
    except DBAPIError as fault:
        raise Failure(f"The database cannot be used: {reason(fault)}.") from None
    except OSError as fault:
        raise Failure(f"{fault.filename or settings.data_dir} cannot be used: {fault.strerror}.") from None


def reason(fault: BaseException) -> str:
    """What a driver says, on one line and without a full stop."""
    cause = fault.orig if isinstance(fault, DBAPIError) and fault.orig is not None else fault
    lines = str(cause).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(cause).__name__
