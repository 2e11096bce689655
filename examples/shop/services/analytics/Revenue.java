import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.avro.generic.GenericRecord;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Repartitioned;

/**
 * Revenue by minute and country: orders that are not cancelled, joined with their customers.
 *
 * <p>All of it is tables, not streams: when an order changes, is deleted or cancelled, or its customer
 * moves, what was added for it is subtracted again.
 */
final class Revenue {
  static final String CUSTOMERS = "shop.public.shop_customer";
  static final String ORDERS = "shop.public.shop_order";
  static final String TARGET = "analytics.revenue";

  private static final Serde<Order> ORDER = Json.of(Order.class);
  private static final Serde<Sale> SALE = Json.of(Sale.class);

  /** How many records were read since the start. */
  final AtomicLong events = new AtomicLong();

  private final Events reader;

  Revenue(Events reader) {
    this.reader = reader;
  }

  /** What we need of an order. */
  record Order(long customer, String minute, long cents) {}

  /** An order and where it went; `cell` is the minute and the country. */
  record Sale(String cell, long cents) {}

  Topology topology() {
    StreamsBuilder builder = new StreamsBuilder();
    orders(builder)
        .join(
            countries(builder),
            Order::customer,
            (order, country) -> new Sale(order.minute() + " " + country, order.cents()),
            Materialized.with(Serdes.Bytes(), SALE))
        .groupBy(
            (order, sale) -> KeyValue.pair(sale.cell(), sale.cents()),
            Grouped.with("revenue", Serdes.String(), Serdes.Long()))
        // Not null where the sum is 0: to a sum that is gone nothing could be added back.
        .aggregate(
            () -> 0L,
            (cell, cents, sum) -> sum + cents,
            (cell, cents, sum) -> sum - cents,
            Materialized.with(Serdes.String(), Serdes.Long()))
        .toStream()
        .mapValues(String::valueOf)
        .to(TARGET, Produced.with(Serdes.String(), Serdes.String()));
    return builder.build();
  }

  /** The orders that count, by their keys as the bytes that they are. */
  private KTable<Bytes, Order> orders(StreamsBuilder builder) {
    return changes(builder, ORDERS)
        .mapValues(value -> order(reader.after(value)))
        .toTable(Materialized.with(Serdes.Bytes(), ORDER));
  }

  /**
   * The country of each customer, by the customer's id.
   *
   * <p>A join by a foreign key looks for a customer in the partition where the id alone would lie. walbrook
   * chooses partitions by the bytes of the Avro key, in which there is the id of a schema, too; so most
   * would not be found, without an error. So customers go through a topic in which they lie by their
   * id. (Where a key is changed Kafka Streams does that by itself; here it is said, and has a name.)
   */
  private KTable<Long, String> countries(StreamsBuilder builder) {
    return changes(builder, CUSTOMERS)
        .map((key, value) -> KeyValue.pair(reader.id(key.get()), country(reader.after(value))))
        .repartition(Repartitioned.with(Serdes.Long(), Serdes.String()).withName("customers"))
        .toTable(Materialized.with(Serdes.Long(), Serdes.String()));
  }

  private KStream<Bytes, byte[]> changes(StreamsBuilder builder, String topic) {
    return builder.stream(topic, Consumed.with(Serdes.Bytes(), Serdes.ByteArray()))
        // A TRUNCATE has none: the shop does none, and it would want more than this.
        .filter((key, value) -> key != null)
        .peek((key, value) -> events.incrementAndGet());
  }

  private static Order order(GenericRecord row) {
    if (row == null || row.get("status").toString().equals("cancelled")) {
      return null;
    }
    // An ISO text in UTC, as 2026-11-29T23:10:05.123456Z.
    String minute = row.get("placed_at").toString().substring(0, "2026-11-29T23:10".length());
    return new Order((long) row.get("customer_id"), minute, cents(row.get("total")));
  }

  private static String country(GenericRecord row) {
    return row == null ? null : row.get("country").toString();
  }

  /** A numeric(12, 2) is the number of cents, as big-endian bytes. */
  private static long cents(Object decimal) {
    ByteBuffer buffer = (ByteBuffer) decimal;
    byte[] bytes = new byte[buffer.remaining()];
    buffer.duplicate().get(bytes);
    return new BigInteger(bytes).longValueExact();
  }
}
