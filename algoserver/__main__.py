"""`python -m algoserver` is `algoserver`."""

from algoserver.cli import main

if __name__ == "__main__":
    main()
