import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.rocksdb.NativeLibraryLoader;

/**
 * The shop's revenue by minute and country, with Kafka Streams: see {@link Revenue}.
 *
 * <p>Exactly once is Kafka Streams' own: what it reads, what it keeps and what it writes are committed in
 * one transaction. What it keeps in --store is a copy of topics of Kafka; a process that was killed
 * builds it again.
 */
public final class Main {
  /** How long Kafka may take to answer. */
  private static final int PATIENCE_SECONDS = 5;

  public static void main(String[] arguments) {
    try {
      run(options(arguments));
    } catch (Throwable error) {
      say(cause(error).toString());
      // Else the thread that answers GET /state would live on, and nobody would start us again.
      Runtime.getRuntime().halt(1);
    }
  }

  private static void run(Map<String, String> given) throws InterruptedException {
    Revenue revenue = new Revenue(new Events(given.get("registry")));
    serve(given.get("port"), revenue);
    unpackRocksDb(given.get("store"));
    // What is not committed comes again, so nothing has to be put in order at the end.
    Runtime.getRuntime().addShutdownHook(new Thread(() -> Runtime.getRuntime().halt(0)));
    try (Admin admin = admin(given.get("bootstrap"))) {
      KafkaStreams streams = null;
      String said = null;
      while (true) {
        String trouble = trouble(admin, given.get("bootstrap"));
        if (trouble != null && !trouble.equals(said)) {
          say(trouble + "; trying again");
        }
        said = trouble;
        // Kafka Streams fails for good if it is started before its topics are there.
        if (trouble == null && streams == null) {
          streams = new KafkaStreams(revenue.topology(), properties(given));
          streams.setUncaughtExceptionHandler(Main::failed);
          streams.start();
        }
        Thread.sleep(1000);
      }
    }
  }

  /** What is wrong with Kafka, of which Kafka Streams itself does not tell. */
  private static String trouble(Admin admin, String bootstrap) throws InterruptedException {
    try {
      Set<String> topics = admin.listTopics().names().get(PATIENCE_SECONDS, TimeUnit.SECONDS);
      for (String topic : new String[] {Revenue.CUSTOMERS, Revenue.ORDERS, Revenue.TARGET}) {
        if (!topics.contains(topic)) {
          return "Kafka has no topic " + topic + " yet";
        }
      }
      return null;
    } catch (ExecutionException | TimeoutException error) {
      return "Kafka does not answer at " + bootstrap;
    }
  }

  /**
   * RocksDB unpacks its library of 15 MB at each start. By default that is a new file in /tmp, which stays
   * there if the process is killed; this is always the same file.
   */
  private static void unpackRocksDb(String folder) {
    try {
      Files.createDirectories(Path.of(folder));
      NativeLibraryLoader.getInstance().loadLibrary(folder);
    } catch (IOException error) {
      say("cannot write to " + folder + ": " + error + "; see --store");
      System.exit(1);
    }
  }

  /** After whatever ends its thread, another one begins again at what was committed. */
  private static StreamThreadExceptionResponse failed(Throwable error) {
    say(cause(error) + "; trying again");
    return StreamThreadExceptionResponse.REPLACE_THREAD;
  }

  private static Throwable cause(Throwable error) {
    return error.getCause() == null ? error : cause(error.getCause());
  }

  private static Properties properties(Map<String, String> given) {
    Properties properties = new Properties();
    properties.put(StreamsConfig.APPLICATION_ID_CONFIG, "analytics");
    properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, given.get("bootstrap"));
    properties.put(StreamsConfig.STATE_DIR_CONFIG, given.get("store"));
    // By this it also reads committed records alone.
    properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    // With a cache a join misses changes that follow each other shortly; see docs/clients.md.
    properties.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0);
    // Readers of its topic see what is committed.
    properties.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 100);
    properties.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
    // With a name of its own a process that comes again has its partitions at once. Without one the group
    // first waits until the session of the killed one is over. More processes want other names.
    properties.put(StreamsConfig.consumerPrefix("group.instance.id"), "analytics-1");
    // A thread that begins again in the same process has another name, and waits for so long.
    properties.put(StreamsConfig.consumerPrefix("session.timeout.ms"), 6000);
    properties.put(StreamsConfig.consumerPrefix("heartbeat.interval.ms"), 2000);
    return properties;
  }

  private static Admin admin(String bootstrap) {
    return Admin.create(
        Map.of(
            AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap,
            AdminClientConfig.REQUEST_TIMEOUT_MS_CONFIG, 1000 * PATIENCE_SECONDS,
            AdminClientConfig.DEFAULT_API_TIMEOUT_MS_CONFIG, 1000 * PATIENCE_SECONDS));
  }

  /** Answers GET /state in a thread of its own. */
  private static void serve(String port, Revenue revenue) {
    try {
      var address = new InetSocketAddress("127.0.0.1", Integer.parseInt(port));
      HttpServer server = HttpServer.create(address, 0);
      server.createContext(
          "/state",
          exchange -> {
            String text = "{\"events\": " + revenue.events.get() + "}";
            byte[] body = text.getBytes(StandardCharsets.UTF_8);
            exchange.getResponseHeaders().set("Content-Type", "application/json");
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
          });
      server.start();
    } catch (IOException | IllegalArgumentException error) {
      say("cannot listen on port " + port + ": " + error.getMessage() + "; see --port");
      System.exit(1);
    }
  }

  /** The options --NAME VALUE. */
  private static Map<String, String> options(String[] arguments) {
    Map<String, String> options = new HashMap<>();
    options.put("bootstrap", "127.0.0.1:9092");
    options.put("registry", "http://127.0.0.1:8081");
    options.put("port", "8005");
    options.put("store", "store");
    for (int at = 0; at < arguments.length; at += 2) {
      String name = arguments[at].replaceFirst("^--", "");
      if (at + 1 == arguments.length || !options.containsKey(name)) {
        say("its options are --bootstrap, --registry, --port and --store, each with a value");
        System.exit(1);
      }
      options.put(name, arguments[at + 1]);
    }
    return options;
  }

  static void say(String line) {
    System.err.println("analytics: " + line);
  }
}
