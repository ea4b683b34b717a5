"""The yardstick: a raw ASGI handler that decodes a JSON body and sends it back, on the same uvicorn as Capstan.

`python -m bench.baseline` serves it on a free port and says which.
"""

from __future__ import annotations

import socket
from typing import Any, cast

import msgspec
import uvicorn


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    message = await receive()
    body = msgspec.json.encode(msgspec.json.decode(message["body"]))
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())],
        }
    )
    await send({"type": "http.response.body", "body": body})


def main() -> None:
    config = uvicorn.Config(
        cast(Any, app),
        loop="uvloop",
        http="httptools",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # Connections wait in the backlog until the server takes them, so this may be said already.
        print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    main()
