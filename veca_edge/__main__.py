"""`python -m veca_edge`: the command line, where the console script is not on the path."""

from veca_edge.cli.main import entry

if __name__ == "__main__":
    entry()
