"""What is asked for on the command line. deploy/quickstart looks at it before it fetches anything."""

import argparse


def parsed():
    parser = argparse.ArgumentParser(prog="deploy/quickstart")
    parser.add_argument("--once", action="store_true", help="a short run that checks itself")
    parser.add_argument("--rate", type=rate, default=10, help="transactions a second (by default 10)")
    return parser.parse_args()


def rate(text):
    number = float(text)
    if not 0 < number:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


if __name__ == "__main__":
    parsed()
