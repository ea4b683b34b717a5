"""`python -m capstan.cli` is `capstan`."""

from capstan.cli.main import main

main()
