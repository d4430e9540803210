import com.pgvector.PGbit;
import com.pgvector.PGhalfvec;
import com.pgvector.PGsparsevec;
import com.pgvector.PGvector;
import java.nio.ByteBuffer;
import java.sql.Array;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.postgresql.PGConnection;

/** JDBC with pgvector-java: text and binary, prepared statements, batches, COPY. */
public class Jdbc {
    static List<Integer> ids(Connection c, String sql, Object arg) throws Exception {
        try (PreparedStatement s = c.prepareStatement(sql)) {
            List<Integer> ids = new ArrayList<>();
            s.setObject(1, arg);
            ResultSet r = s.executeQuery();
            while (r.next()) {
                ids.add(r.getInt(1));
            }
            return ids;
        }
    }

    public static void main(String[] args) throws Exception {
        Connection c = DriverManager.getConnection(Tap.URL);
        Statement st = c.createStatement();
        st.execute("CREATE EXTENSION IF NOT EXISTS vector");
        PGvector.registerTypes(c);
        st.execute("CREATE TABLE item (id serial PRIMARY KEY, kind text, embedding vector(3),"
            + " half halfvec(3), sparse sparsevec(3), bits bit(3), loose vector)");
        st.execute("CREATE INDEX ON item USING hnsw (embedding vector_l2_ops) WITH (m = 8, ef_construction = 40)");
        st.execute("CREATE INDEX ON item USING hnsw (half halfvec_l2_ops)");
        st.execute("CREATE INDEX ON item USING hnsw (sparse sparsevec_l2_ops)");
        st.execute("CREATE INDEX ON item USING hnsw (bits bit_hamming_ops)");
        float[][] values = {{1, 1, 1}, {2, 2, 2}, {1, 1, 2}};
        String[] kinds = {"a", "b", "a"};
        String[] bits = {"000", "101", "111"};
        try (PreparedStatement s = c.prepareStatement(
            "INSERT INTO item (kind, embedding, half, sparse, bits, loose) VALUES (?, ?, ?, ?, ?, ?)")) {
            for (int i = 0; i < 3; i++) {
                s.setString(1, kinds[i]);
                s.setObject(2, new PGvector(values[i]));
                s.setObject(3, new PGhalfvec(values[i]));
                s.setObject(4, new PGsparsevec(values[i]));
                s.setObject(5, new PGbit(bits[i]));
                s.setObject(6, new PGvector(Tap.EXTREME));
                s.addBatch();
            }
            s.executeBatch();
        }
        // The driver asks for binary from the fifth run of a statement on.
        try (PreparedStatement s = c.prepareStatement("SELECT embedding, half, sparse, loose FROM item WHERE id = ?")) {
            for (int run = 1; run <= 7; run++) {
                s.setInt(1, 3);
                ResultSet r = s.executeQuery();
                r.next();
                Tap.equal(new Object[] {((PGvector) r.getObject(1)).toArray(), ((PGhalfvec) r.getObject(2)).toArray(),
                    ((PGsparsevec) r.getObject(3)).toArray()}, new Object[] {values[2], values[2], values[2]}, "read, run " + run);
                float[] loose = ((PGvector) r.getObject(4)).toArray();
                boolean same = loose.length == Tap.EXTREME.length;
                for (int i = 0; same && i < loose.length; i++) {
                    same = Float.floatToRawIntBits(loose[i]) == Float.floatToRawIntBits(Tap.EXTREME[i]);
                }
                Tap.ok(same, "vector bit for bit, run " + run, java.util.Arrays.toString(loose));
            }
        }
        float[] one = {1, 1, 1};
        String q = "SELECT id FROM item ORDER BY ";
        Tap.equal(ids(c, q + "embedding <-> ? LIMIT 5", new PGvector(one)), List.of(1, 3, 2), "<->");
        Tap.equal(ids(c, q + "embedding <#> ? LIMIT 5", new PGvector(one)), List.of(2, 3, 1), "<#>");
        Tap.equal(ids(c, q + "embedding <=> ?, id LIMIT 5", new PGvector(one)), List.of(1, 2, 3), "<=>");
        Tap.equal(ids(c, q + "embedding <+> ? LIMIT 5", new PGvector(one)), List.of(1, 3, 2), "<+>");
        Tap.equal(ids(c, q + "half <-> ? LIMIT 5", new PGhalfvec(one)), List.of(1, 3, 2), "half <->");
        Tap.equal(ids(c, q + "half <#> ? LIMIT 5", new PGhalfvec(one)), List.of(2, 3, 1), "half <#>");
        Tap.equal(ids(c, q + "half <=> ?, id LIMIT 5", new PGhalfvec(one)), List.of(1, 2, 3), "half <=>");
        Tap.equal(ids(c, q + "half <+> ? LIMIT 5", new PGhalfvec(one)), List.of(1, 3, 2), "half <+>");
        Tap.equal(ids(c, q + "sparse <-> ? LIMIT 5", new PGsparsevec(one)), List.of(1, 3, 2), "sparse <->");
        Tap.equal(ids(c, q + "sparse <#> ? LIMIT 5", new PGsparsevec(one)), List.of(2, 3, 1), "sparse <#>");
        Tap.equal(ids(c, q + "sparse <=> ?, id LIMIT 5", new PGsparsevec(one)), List.of(1, 2, 3), "sparse <=>");
        Tap.equal(ids(c, q + "sparse <+> ? LIMIT 5", new PGsparsevec(one)), List.of(1, 3, 2), "sparse <+>");
        Tap.equal(ids(c, q + "bits <~> ? LIMIT 5", new PGbit("101")), List.of(2, 3, 1), "bits <~>");
        Tap.equal(ids(c, q + "bits <%> ? LIMIT 5", new PGbit("101")), List.of(2, 3, 1), "bits <%>");
        Tap.equal(ids(c, "SELECT id FROM item WHERE kind = 'a' AND embedding <-> ? < 0.5", new PGvector(one)), List.of(1), "filter");
        st.execute("UPDATE item SET embedding = '[7,8,9]' WHERE id = 2");
        Tap.equal(ids(c, "SELECT id FROM item ORDER BY embedding <-> ? LIMIT 1", new PGvector(new float[] {7, 8, 9})), List.of(2), "update");
        Array many = c.createArrayOf("vector", new Object[] {new PGvector(one), new PGvector(values[1])});
        try (PreparedStatement s = c.prepareStatement("SELECT ?::vector[]::text")) {
            s.setArray(1, many);
            ResultSet r = s.executeQuery();
            r.next();
            Tap.equal(r.getString(1), "{\"[1,1,1]\",\"[2,2,2]\"}", "array of vectors");
        }
        // A PGvector is read from binary; the others from text, as the package does.
        st.execute("CREATE TABLE extreme (v vector, h halfvec, s sparsevec, b bit(19))");
        PGhalfvec half = new PGhalfvec(new float[] {65504f, -65504f, 6.103515625e-05f, 5.960464477539063e-08f, -0f, 0f, 0.0999755859375f});
        PGsparsevec sparse = new PGsparsevec(Map.of(0, Float.MAX_VALUE, 7, -Float.MIN_VALUE, 999, 0.1f), 1000);
        PGbit bit = new PGbit("1011011100011110101");
        try (PreparedStatement s = c.prepareStatement("INSERT INTO extreme VALUES (?, ?, ?, ?)")) {
            s.setObject(1, new PGvector(Tap.EXTREME));
            s.setObject(2, half);
            s.setObject(3, sparse);
            s.setObject(4, bit);
            s.executeUpdate();
        }
        try (PreparedStatement s = c.prepareStatement("SELECT v, h, s, b, vector_send(v), halfvec_send(h), sparsevec_send(s) FROM extreme")) {
            for (int run = 1; run <= 6; run += 5) {
                for (int i = 1; i < run; i++) {
                    s.executeQuery().close();
                }
                ResultSet r = s.executeQuery();
                r.next();
                Tap.equal(Tap.bits(((PGvector) r.getObject(1)).toArray()), Tap.bits(Tap.EXTREME), "vector bit for bit, run " + run);
                Tap.equal(Tap.bits(((PGhalfvec) r.getObject(2)).toArray()), Tap.bits(half.toArray()), "halfvec bit for bit, run " + run);
                Tap.equal(Tap.bits(((PGsparsevec) r.getObject(3)).toArray()), Tap.bits(sparse.toArray()), "sparsevec bit for bit, run " + run);
                Tap.equal(r.getString(4), bit.toString(), "bit bit for bit, run " + run);
                ByteBuffer sent = ByteBuffer.wrap(r.getBytes(5));
                float[] floats = new float[sent.getShort(0)];
                sent.position(4).slice().asFloatBuffer().get(floats);
                Tap.equal(Tap.bits(floats), Tap.bits(Tap.EXTREME), "vector bit for bit on the server, run " + run);
                Tap.equal(r.getBytes(6), HexFormat.of().parseHex("00070000" + "7bfffbff04000001800000002e66"), "halfvec bit for bit on the server, run " + run);
                Tap.equal(r.getBytes(7), HexFormat.of().parseHex("000003e80000000300000000" + "0000000000000007000003e7" + "7f7fffff800000013dcccccd"),
                    "sparsevec bit for bit on the server, run " + run);
            }
        }
        st.execute("CREATE TABLE bulk (v vector(2))");
        long n = ((PGConnection) c).getCopyAPI().copyIn("COPY bulk FROM STDIN", new java.io.StringReader("[1,2]\n[3,4]\n"));
        Tap.equal(n, 2L, "COPY");
        Tap.Call bad = () -> ids(c, "INSERT INTO item (embedding) VALUES (?) RETURNING id", new PGvector(new float[] {1, 2}));
        Tap.fails(bad, "22000", "expected 3 dimensions, not 2", "wrong dimension");
        Tap.fails(() -> ids(c, "INSERT INTO item (embedding) VALUES (?) RETURNING id", new PGvector(new float[] {1, Float.NaN, 2})),
            "22000", "NaN not allowed in vector", "NaN");
        Tap.equal(ids(c, "INSERT INTO item (embedding) VALUES (?) RETURNING id", null).size(), 1, "NULL");
        Tap.done();
    }
}
