"""The command line of the Python clients."""

import argparse


def arguments():
    """The command line; each topic is avro:NAME=KIND or json:NAME=KIND."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", default="localhost:9092")
    parser.add_argument("--registry", default="http://localhost:8081")
    parser.add_argument("--records", type=int, default=0, help="how many to read; 0: for ever")
    parser.add_argument("--without", default="", help="show what goes wrong without: lz4, years …")
    parser.add_argument("topics", nargs="+")
    given = parser.parse_args()
    named = [topic.partition(":")[::2] for topic in given.topics]
    given.formats = {rest.partition("=")[0]: form for form, rest in named}
    given.topics = dict(rest.partition("=")[::2] for _, rest in named)
    return given
