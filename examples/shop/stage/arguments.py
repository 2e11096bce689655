"""What is asked for on the command line. examples/shop/run looks at it before it fetches anything."""

import argparse


def parsed():
    parser = argparse.ArgumentParser(prog="examples/shop/run")
    parser.add_argument("--check", action="store_true", help="a minute of kills, and a pause of Kafka, that checks itself")
    parser.add_argument("--port", type=port, default=8095, help="the page's port on 127.0.0.1 (by default 8095)")
    parser.add_argument("--rate", type=rate, default=15, help="what customers do in a second (by default 15)")
    return parser.parse_args()


def port(text):
    number = int(text)
    if not 0 <= number < 65536:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 65535")
    return number


def rate(text):
    number = float(text)
    if not 0 < number:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


if __name__ == "__main__":
    parsed()
