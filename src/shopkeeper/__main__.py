"""`python -m shopkeeper` is `shopkeeper`."""

from shopkeeper.cli.main import main

main()
