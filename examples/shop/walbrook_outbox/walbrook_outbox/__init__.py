"""A transactional outbox for Django that walbrook reads from PostgreSQL's log and writes to Kafka."""


def publish(aggregatetype, aggregateid, type, payload, *, using=None):
    """Publishes an event: it happens if, and only if, the transaction around it commits.

    `aggregatetype` chooses the topic, `aggregateid` is the record's key: events of one key stay in
    their order. `payload` is anything that JSON has; None is a tombstone. Returns the row.
    """
    # Models can be imported only when all apps are loaded, and this module is one of the first.
    from .models import Event

    return Event.objects.using(using).create(
        aggregatetype=aggregatetype, aggregateid=str(aggregateid), type=type, payload=payload
    )
