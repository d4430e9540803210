import com.pgvector.PGbit;
import com.pgvector.PGhalfvec;
import com.pgvector.PGsparsevec;
import com.pgvector.PGvector;
import java.sql.Array;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
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
        Tap.equal(ids(c, q + "sparse <-> ? LIMIT 5", new PGsparsevec(one)), List.of(1, 3, 2), "sparse <->");
        Tap.equal(ids(c, q + "bits <~> ? LIMIT 5", new PGbit("101")), List.of(2, 3, 1), "bits <~>");
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
