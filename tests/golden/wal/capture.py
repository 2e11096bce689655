#!/usr/bin/env python3
"""Captures the golden frames: runs workload.sql and writes each scenario's frames as NAME.hex.

    capture.py HOST PORT      (an empty server of its own: wal_level=logical, user postgres, trust)

It speaks the replication protocol itself, so that a line of a golden file is exactly the payload of
one CopyData as a walsender sent it.
"""
import pathlib
import re
import socket
import struct
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
HOST, PORT = sys.argv[1], sys.argv[2]


def sql(database, text):
    command = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", HOST, "-p", PORT,
               "-U", "postgres", "-d", database]
    return subprocess.run(command, input=text, check=True, text=True, capture_output=True).stdout.strip()


class Walsender:
    def __init__(self, database):
        self.socket = socket.create_connection((HOST, int(PORT)))
        words = ["user", "postgres", "database", database, "replication", "database", "client_encoding", "UTF8"]
        body = struct.pack(">i", 196608) + b"".join(w.encode() + b"\0" for w in words) + b"\0"
        self.socket.sendall(struct.pack(">i", len(body) + 4) + body)
        self.until(b"Z")

    def exactly(self, count):
        read = b""
        while len(read) < count:
            piece = self.socket.recv(count - len(read))
            assert piece, "the server closed the connection"
            read += piece
        return read

    def message(self):
        tag, length = struct.unpack(">ci", self.exactly(5))
        body = self.exactly(length - 4)
        assert tag != b"E", body
        return tag, body

    def until(self, wanted):
        while self.message()[0] != wanted:
            pass

    def frames(self, command, end):
        """Yields frames until a keep-alive says that everything up to `end` was sent."""
        body = command.encode() + b"\0"
        self.socket.sendall(b"Q" + struct.pack(">i", len(body) + 4) + body)
        self.until(b"W")
        # A status update that asks for a reply: so the server says how far it is.
        ask = b"r" + struct.pack(">qqqq?", 0, 0, 0, 0, True)
        while True:
            self.socket.sendall(b"d" + struct.pack(">i", len(ask) + 4) + ask)
            frame = b""
            while frame[:1] != b"k":
                tag, frame = self.message()
                assert tag == b"d", tag
                yield frame
            if struct.unpack(">q", frame[1:9])[0] >= end:
                return


def lsn(text):
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


def capture(name, options, before, workload):
    sql("postgres", f"CREATE DATABASE {name} ENCODING 'UTF8'")
    where = next((f" WHERE ({o[6:]})" for o in options if o.startswith("where:")), None)
    root = ", publish_via_partition_root = true" if "root" in options else ""
    target = f"TABLE filtered{where}" if where else "ALL TABLES"
    sql(name, before)
    sql(name, f"CREATE PUBLICATION p FOR {target} WITH (publish = 'insert, update, delete, truncate'{root});"
              f"SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')")
    sql(name, workload)
    end = lsn(sql(name, "SELECT pg_current_wal_flush_lsn()"))
    binary = "binary 'true', " if "binary" in options else ""
    command = (f"START_REPLICATION SLOT {name} LOGICAL 0/0 "
               f"(proto_version '1', publication_names 'p', {binary}messages 'true')")
    lines = ["# " + line for line in workload.strip().splitlines()]
    frames = list(Walsender(name).frames(command, end))
    # Of several keep-alives in a row the last: how many there are is chance.
    lines += ["< " + frame.hex() for frame, next_frame in zip(frames, frames[1:] + [b""])
              if not frame[:1] == next_frame[:1] == b"k"]
    (HERE / f"{name}.hex").write_text("\n".join(lines) + "\n")


for scenario in re.split(r"^-- @ ", (HERE / "workload.sql").read_text(), flags=re.M)[1:]:
    head, text = scenario.split("\n", 1)
    name, _, options = head.partition(" ")
    capture(name, options.strip().split(","), *text.split("-- @@\n"))
