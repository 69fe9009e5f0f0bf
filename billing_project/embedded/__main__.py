import argparse
import sys

from django.core.exceptions import ImproperlyConfigured

from billing_project.embedded.processes import StartError
from billing_project.embedded.serve import serve


def main() -> int:
    parser = argparse.ArgumentParser(prog="script/server", description="Run Countinghouse.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("serve", help="everything on this machine, until Ctrl-C")
    run.add_argument("--no-demo", action="store_true", help="start with an empty database, without demo data")
    options = parser.parse_args()
    try:
        serve(demo=not options.no_demo)
    except (StartError, ImproperlyConfigured) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # while it waited for an earlier run to end
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
