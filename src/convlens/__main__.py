"""`python -m convlens`, where the command is not on the path."""

from convlens.cli import main

main()
