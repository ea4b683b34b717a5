"""The socket that the server listens on, opened before anything else so that a port in use changes nothing."""

from __future__ import annotations

import errno
import socket

from capstan.cli.failures import Failure

BACKLOG = 2048


def open_listener(host: str, port: int) -> socket.socket:
    """Listen on a host name or address; port 0 takes a free one. Ends the command where that cannot be.

    Connections wait in the backlog until the server has started.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as unknown:
        raise Failure(f"The host {host} cannot be found: {unknown.strerror}.") from None
    fault: OSError | None = None
    for family, _type, _protocol, _name, address in found:
        try:
            return _listen(family, address)
        except OSError as refused:
            fault = fault or refused
    assert fault is not None, "a host that is found has an address"
    raise Failure(_sentence(fault, host, port))


def _listen(family: int, address: tuple[object, ...]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # `::` means every network, those of IPv4 too.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _sentence(fault: OSError, host: str, port: int) -> str:
    if fault.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is in use; stop what uses it, or choose another port with --port."
    if fault.errno == errno.EACCES:
        return f"Port {port} needs more rights; choose one above 1023 with --port."
    if fault.errno == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine; choose another with --host."
    return f"Cannot listen on port {port} of {host}: {fault.strerror}."
