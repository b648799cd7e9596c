"""``python -m stempilot``: the command line where its script is not on the path."""

from stempilot.cli import main

main()
