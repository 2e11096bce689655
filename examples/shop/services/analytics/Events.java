import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.DecoderFactory;

/** Reads Avro in Confluent's framing: a zero, the id of the schema in four bytes, the record. */
final class Events {
  private final String registry;
  private final Map<Integer, Schema> schemas = new ConcurrentHashMap<>();
  private final ObjectMapper json = new ObjectMapper();
  private final HttpClient client =
      HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(5)).build();

  Events(String registry) {
    this.registry = registry;
  }

  /** The id in a key. */
  long id(byte[] key) {
    return (long) read(key).get("id");
  }

  /** The row that a change left behind; null after a delete, and of the tombstone behind that. */
  GenericRecord after(byte[] value) {
    return value == null ? null : (GenericRecord) read(value).get("after");
  }

  private GenericRecord read(byte[] data) {
    ByteBuffer bytes = ByteBuffer.wrap(data);
    if (bytes.get() != 0) {
      throw new IllegalArgumentException("these bytes do not begin with a schema's id");
    }
    Schema schema = schemas.computeIfAbsent(bytes.getInt(), this::schema);
    try {
      var decoder = DecoderFactory.get().binaryDecoder(data, 5, data.length - 5, null);
      return new GenericDatumReader<GenericRecord>(schema).read(null, decoder);
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }

  /** Asks until the registry answers: an error would end the thread, and its tasks would move. */
  private Schema schema(int id) {
    try {
      for (boolean isCalm = true; ; isCalm = false) {
        try {
          return ask(id);
        } catch (IOException error) {
          if (isCalm) {
            Main.say("the registry does not answer at " + registry + "; trying again");
          }
        }
        Thread.sleep(1000);
      }
    } catch (InterruptedException error) {
      throw new IllegalStateException("interrupted", error);
    }
  }

  private Schema ask(int id) throws IOException, InterruptedException {
    var uri = URI.create(registry + "/schemas/ids/" + id);
    var request = HttpRequest.newBuilder(uri).timeout(Duration.ofSeconds(5)).build();
    var answer = client.send(request, HttpResponse.BodyHandlers.ofString());
    if (answer.statusCode() != 200) {
      throw new IOException("it answers " + answer.statusCode());
    }
    return new Schema.Parser().parse(json.readTree(answer.body()).get("schema").asText());
  }
}
