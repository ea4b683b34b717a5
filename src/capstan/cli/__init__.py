"""The `capstan` command: what an operator types on the server's machine, and what anybody types against a server.

Server-side commands open the stores and call services; client commands speak the public API over HTTP (`client`) and
know nothing else of the server. Each module is one command or one group of them, loaded when it is used (`main`).
"""
