"""`python -m gapslsim` is the command line."""

from gapslsim.cli.main import main

if __name__ == "__main__":
    main()
