"""`python -m unrolled`: the command line."""

from unrolled.cli import process

if __name__ == "__main__":
    process()
