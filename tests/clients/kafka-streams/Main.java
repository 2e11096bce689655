import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import org.apache.avro.Schema;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.AppInfoParser;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;

/**
 * A Kafka Streams topology over two of walbrook's topics: customers joined with their accounts, and
 * how many changes each has had, exactly once. See docs/clients.md.
 *
 * <p>Keys are taken as the bytes that they are. Joined are keys whose bytes are the same, so Avro keys
 * want tables.key_names = "columns".
 */
public final class Main {
  public static void main(String[] arguments) {
    Map<String, String> given = options(arguments);
    String avro = Schema.class.getPackage().getImplementationVersion();
    String streams = AppInfoParser.getVersion();
    System.out.printf("{\"client\": \"kafka-streams %s, avro %s\"}%n", streams, avro);
    KafkaStreams running = new KafkaStreams(topology(given), properties(given));
    running.setUncaughtExceptionHandler(
        error -> {
          error.printStackTrace();
          Runtime.getRuntime().halt(1);
          return null;
        });
    Runtime.getRuntime().addShutdownHook(new Thread(running::close));
    running.start();
  }

  private static Topology topology(Map<String, String> given) {
    Events events = new Events(given.get("registry"), given.get("format").equals("avro"));
    StreamsBuilder builder = new StreamsBuilder();
    var as = Consumed.with(Serdes.Bytes(), Serdes.ByteArray());
    KStream<Bytes, byte[]> customers = builder.stream(given.get("customers"), as);
    KStream<Bytes, byte[]> accounts = builder.stream(given.get("accounts"), as);
    KTable<Bytes, String> names = table(customers.mapValues(it -> events.after(it, "name")));
    KTable<Bytes, String> balances = table(accounts.mapValues(it -> events.after(it, "balance")));
    names
        .join(balances, (name, balance) -> name + "=" + balance)
        .toStream()
        .to(given.get("joined"), Produced.with(Serdes.Bytes(), Serdes.String()));
    count(customers, "customers", given.get("counts"));
    count(accounts, "accounts", given.get("counts"));
    return builder.build();
  }

  /** The latest value of each key; null, as after a delete, is none. */
  private static KTable<Bytes, String> table(KStream<Bytes, String> changes) {
    return changes.toTable(Materialized.with(Serdes.Bytes(), Serdes.String()));
  }

  /** Counts the changes of each key. Tombstones, which have no value, are none. */
  private static void count(KStream<Bytes, byte[]> changes, String name, String topic) {
    changes
        .groupByKey(Grouped.with(Serdes.Bytes(), Serdes.ByteArray()))
        .count()
        .toStream()
        .mapValues(count -> name + " " + count)
        .to(topic, Produced.with(Serdes.Bytes(), Serdes.String()));
  }

  private static Properties properties(Map<String, String> given) {
    Properties properties = new Properties();
    properties.put(StreamsConfig.APPLICATION_ID_CONFIG, given.get("application"));
    properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, given.get("bootstrap"));
    properties.put(StreamsConfig.STATE_DIR_CONFIG, given.get("state"));
    // By this it also reads committed records alone.
    properties.put(
        StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    // With a cache a pair stays joined when both of its rows are deleted shortly one after the other:
    // each deletion then finds that the other row is gone, and writes nothing.
    properties.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, given.get("cache"));
    properties.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
    // How long a killed instance's partitions stay with it.
    properties.put(StreamsConfig.consumerPrefix("session.timeout.ms"), 6000);
    return properties;
  }

  /** The options --NAME VALUE. */
  private static Map<String, String> options(String[] arguments) {
    Map<String, String> options = new HashMap<>(Map.of("cache", "0"));
    for (int at = 0; at + 1 < arguments.length; at += 2) {
      options.put(arguments[at].substring(2), arguments[at + 1]);
    }
    return options;
  }
}
