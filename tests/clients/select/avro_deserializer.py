"""An ordinary consumer reads what walbrook wrote: confluent-kafka's AvroDeserializer, no more.

Every table event's `after` must equal the row that SELECT returns, column by column, and every
outbox event the payload in its table. tests/it/clients/selected.rs starts the servers and walbrook, writes
the rows and calls this; it prints one line, or says what differs and fails.
"""

import rows
import events
import psycopg


def main():
    arguments = rows.arguments("outbox", "outbox-topic")
    connection = psycopg.connect(arguments.dsn)
    selected = rows.select(connection, f"SELECT * FROM {arguments.table}")
    payloads = rows.select(connection, f"SELECT id::text, payload FROM {arguments.outbox}")
    wanted = {arguments.topic, arguments.outbox_topic}
    reader = events.Reader(arguments.bootstrap, arguments.registry, lambda topic: topic in wanted)
    table, outbox = rows.Table(), {}

    def take(message):
        value = reader.value(message)
        if message.topic() == arguments.outbox_topic:
            outbox[dict(message.headers())["id"].decode()] = value
        else:
            table.take(reader.key(message)["id"], value)

    rows.follow(
        reader,
        take,
        lambda: table.seen >= arguments.events and len(outbox) >= len(payloads),
        lambda: f"{table.seen} events of the table, {len(outbox)} of the outbox",
    )
    faults = rows.compare(table.state, selected, events.as_selected)
    faults += compare_payloads(outbox, payloads)
    rows.conclude(faults, table, selected, f", {len(outbox)} outbox events")


def compare_payloads(outbox, payloads):
    faults = [f"outbox event {key}: only in one place" for key in outbox.keys() ^ payloads.keys()]
    for key in outbox.keys() & payloads.keys():
        given = {name: value for name, value in outbox[key].items() if value is not None}
        payload = payloads[key]["payload"]
        if given != payload:
            faults.append(f"outbox event {key}: {given!r}, payload {payload!r}")
    return faults


if __name__ == "__main__":
    main()
