import jakarta.persistence.Entity;
import jakarta.persistence.GeneratedValue;
import jakarta.persistence.GenerationType;
import jakarta.persistence.Id;
import java.util.List;
import org.hibernate.SessionFactory;
import org.hibernate.annotations.Array;
import org.hibernate.annotations.JdbcTypeCode;
import org.hibernate.cfg.Configuration;
import org.hibernate.type.SqlTypes;
import org.hibernate.vector.SparseFloatVector;

/** Hibernate's own vector module: schema from an entity, HQL functions. */
public class Hibernate {
    @Entity(name = "Item")
    public static class Item {
        @Id
        @GeneratedValue(strategy = GenerationType.IDENTITY)
        Integer id;
        String kind;
        @JdbcTypeCode(SqlTypes.VECTOR)
        @Array(length = 3)
        float[] embedding;
        @JdbcTypeCode(SqlTypes.VECTOR_FLOAT16)
        @Array(length = 3)
        float[] half;
        @JdbcTypeCode(SqlTypes.SPARSE_VECTOR_FLOAT32)
        @Array(length = 3)
        SparseFloatVector sparse;
        @JdbcTypeCode(SqlTypes.VECTOR_BINARY)
        @Array(length = 24)
        byte[] bits;
        @JdbcTypeCode(SqlTypes.VECTOR)
        @Array(length = 14)
        float[] loose;
        @JdbcTypeCode(SqlTypes.VECTOR_FLOAT16)
        @Array(length = 7)
        float[] looseHalf;
        @JdbcTypeCode(SqlTypes.SPARSE_VECTOR_FLOAT32)
        @Array(length = 1000)
        SparseFloatVector looseSparse;
    }

    public static void main(String[] args) throws Exception {
        java.util.logging.Logger.getLogger("org.hibernate").setLevel(java.util.logging.Level.SEVERE);
        try (var c = java.sql.DriverManager.getConnection(Tap.URL)) {
            c.createStatement().execute("CREATE EXTENSION IF NOT EXISTS vector");
        }
        SessionFactory factory = new Configuration().addAnnotatedClass(Item.class)
            .setProperty("hibernate.connection.url", Tap.URL).setProperty("hibernate.hbm2ddl.auto", "create")
            .buildSessionFactory();
        factory.inTransaction(s -> s.createNativeMutationQuery(
            "CREATE INDEX ON Item USING hnsw (embedding vector_l2_ops) WITH (m = 8, ef_construction = 40)").executeUpdate());
        factory.inTransaction(s -> s.createNativeMutationQuery(
            "CREATE INDEX ON Item USING hnsw (half halfvec_cosine_ops)").executeUpdate());
        float[][] values = {{1, 1, 1}, {2, 2, 2}, {1, 1, 2}};
        byte[][] bits = {{0, 0, 0}, {5, 0, -128}, {7, 0, -128}};
        float[] half = {65504f, -65504f, 6.103515625e-05f, 5.960464477539063e-08f, -0f, 0f, 0.0999755859375f};
        SparseFloatVector sparse = new SparseFloatVector(1000, new int[] {0, 7, 999}, new float[] {Float.MAX_VALUE, -Float.MIN_VALUE, 0.1f});
        factory.inTransaction(s -> {
            for (int i = 0; i < 3; i++) {
                Item item = new Item();
                item.kind = i == 1 ? "b" : "a";
                item.embedding = values[i];
                item.half = values[i];
                item.sparse = new SparseFloatVector(values[i]);
                item.bits = bits[i];
                item.loose = Tap.EXTREME;
                item.looseHalf = half;
                item.looseSparse = sparse;
                s.persist(item);
            }
        });
        factory.inTransaction(s -> {
            for (String[] f : new String[][] {{"l2_distance", "1 3 2"}, {"cosine_distance", "1 2 3"}, {"l1_distance", "1 3 2"},
                {"negative_inner_product", "2 3 1"}}) {
                List<Integer> ids = s.createQuery("select id from Item order by " + f[0] + "(embedding, :q), id", Integer.class)
                    .setParameter("q", new float[] {1, 1, 1}).setMaxResults(5).getResultList();
                Tap.equal(ids.toString().replaceAll("[\\[\\],]", ""), f[1], f[0]);
            }
            for (String[] f : new String[][] {{"l2_distance", "1 3 2"}, {"cosine_distance", "1 2 3"}, {"l1_distance", "1 3 2"},
                {"negative_inner_product", "2 3 1"}}) {
                for (String column : new String[] {"half", "sparse"}) {
                    List<Integer> ids = s.createQuery("select id from Item order by " + f[0] + "(" + column + ", (select q." + column
                        + " from Item q where q.id = 1)), id", Integer.class).getResultList();
                    Tap.equal(ids.toString().replaceAll("[\\[\\],]", ""), f[1], f[0] + " of " + column);
                }
            }
            for (String f : new String[] {"hamming_distance", "jaccard_distance"}) {
                List<Integer> ids = s.createQuery("select id from Item order by " + f + "(bits, (select q.bits from Item q where q.id = 2)), id",
                    Integer.class).getResultList();
                Tap.equal(ids, List.of(2, 3, 1), f);
            }
            Tap.equal(s.createQuery("select id from Item where kind = 'a' and l2_distance(embedding, :q) < 0.5", Integer.class)
                .setParameter("q", new float[] {1, 1, 1}).getResultList(), List.of(1), "filter");
            Tap.equal(s.createQuery("select vector_dims(embedding) from Item where id = 1", Integer.class).getSingleResult(), 3, "vector_dims");
            Item item = s.find(Item.class, 2);
            Tap.equal(item.embedding, values[1], "read");
            Tap.equal(item.half, values[1], "read of halfvec");
            Tap.equal(item.sparse.toDenseVector(), values[1], "read of sparsevec");
            Tap.equal(Tap.bits(item.loose), Tap.bits(Tap.EXTREME), "vector bit for bit");
            Tap.equal(Tap.bits(item.looseHalf), Tap.bits(half), "halfvec bit for bit");
            Tap.equal(item.looseSparse.indices(), sparse.indices(), "sparsevec bit for bit, indices");
            Tap.equal(Tap.bits(item.looseSparse.floats()), Tap.bits(sparse.floats()), "sparsevec bit for bit, values");
            Tap.equal(item.bits, bits[1], "bit bit for bit");
            item.embedding = new float[] {7, 8, 9};
        });
        factory.inTransaction(s -> Tap.equal(s.find(Item.class, 2).embedding, new float[] {7, 8, 9}, "update"));
        factory.inTransaction(s -> {
            s.setJdbcBatchSize(100);
            for (int i = 0; i < 500; i++) {
                Item item = new Item();
                item.embedding = new float[] {i, 1, 1};
                s.persist(item);
            }
        });
        factory.inTransaction(s -> Tap.equal(s.createQuery("select count(*) from Item", Long.class).getSingleResult(), 503L, "bulk insert"));
        Tap.fails(() -> put(factory, new float[] {1, 2}), "22000", "expected 3 dimensions, not 2", "wrong dimension");
        Tap.fails(() -> put(factory, new float[] {1, Float.NaN, 2}), "22000", "NaN not allowed in vector", "NaN");
        put(factory, null);
        Tap.ok(true, "NULL is stored", null);
        factory.close();
        Tap.done();
    }

    static void put(SessionFactory factory, float[] value) {
        factory.inTransaction(s -> {
            Item item = new Item();
            item.embedding = value;
            s.persist(item);
        });
    }
}
