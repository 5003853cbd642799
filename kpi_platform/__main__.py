"""`python -m kpi_platform` is the `kpi` command."""

from kpi_platform.cli.cli import main

if __name__ == "__main__":
    main()
