import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.DecoderFactory;

/** Reads change events: Avro in Confluent's framing by the schemas that the records name, or JSON. */
final class Events {
  private final String registry;
  private final boolean areAvro;
  private final Map<Integer, Schema> schemas = new ConcurrentHashMap<>();
  private final HttpClient client = HttpClient.newHttpClient();
  private final ObjectMapper json = new ObjectMapper();

  Events(String registry, boolean areAvro) {
    this.registry = registry;
    this.areAvro = areAvro;
  }

  /** A field of the row that the change left behind, as a text; null after a delete. */
  String after(byte[] value, String field) {
    if (value == null) {
      return null;
    }
    try {
      if (!areAvro) {
        JsonNode after = json.readTree(value).get("after");
        return after.isNull() ? null : after.get(field).asText();
      }
      GenericRecord after = (GenericRecord) avro(value).get("after");
      return after == null ? null : after.get(field).toString();
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }

  private GenericRecord avro(byte[] value) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(value);
    if (bytes.get() != 0) {
      throw new IOException("these bytes do not begin with a schema's id");
    }
    Schema schema = schemas.computeIfAbsent(bytes.getInt(), this::schema);
    var decoder = DecoderFactory.get().binaryDecoder(value, 5, value.length - 5, null);
    return new GenericDatumReader<GenericRecord>(schema).read(null, decoder);
  }

  private Schema schema(int id) {
    try {
      var request = HttpRequest.newBuilder(URI.create(registry + "/schemas/ids/" + id)).build();
      var answer = client.send(request, HttpResponse.BodyHandlers.ofString());
      if (answer.statusCode() != 200) {
        throw new IOException("the registry answers " + answer.statusCode() + " for schema " + id);
      }
      return new Schema.Parser().parse(json.readTree(answer.body()).get("schema").asText());
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    } catch (InterruptedException error) {
      throw new IllegalStateException("interrupted", error);
    }
  }
}
