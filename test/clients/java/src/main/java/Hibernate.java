import jakarta.persistence.Column;
import jakarta.persistence.Entity;
import jakarta.persistence.GeneratedValue;
import jakarta.persistence.GenerationType;
import jakarta.persistence.Id;
import java.util.Arrays;
import java.util.List;
import org.hibernate.SessionFactory;
import org.hibernate.annotations.Array;
import org.hibernate.annotations.JdbcTypeCode;
import org.hibernate.cfg.Configuration;
import org.hibernate.type.SqlTypes;

/** Hibernate's own vector module: schema from an entity, HQL functions. */
public class Hibernate {
    @Entity(name = "Item")
    public static class Item {
        @Id
        @GeneratedValue(strategy = GenerationType.IDENTITY)
        Integer id;
        String kind;
        @Column
        @JdbcTypeCode(SqlTypes.VECTOR)
        @Array(length = 3)
        float[] embedding;
        @Column
        @JdbcTypeCode(SqlTypes.VECTOR)
        @Array(length = 14)
        float[] loose;
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
        float[][] values = {{1, 1, 1}, {2, 2, 2}, {1, 1, 2}};
        factory.inTransaction(s -> {
            for (int i = 0; i < 3; i++) {
                Item item = new Item();
                item.kind = i == 1 ? "b" : "a";
                item.embedding = values[i];
                item.loose = Tap.EXTREME;
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
            Tap.equal(s.createQuery("select id from Item where kind = 'a' and l2_distance(embedding, :q) < 0.5", Integer.class)
                .setParameter("q", new float[] {1, 1, 1}).getResultList(), List.of(1), "filter");
            Tap.equal(s.createQuery("select vector_dims(embedding) from Item where id = 1", Integer.class).getSingleResult(), 3, "vector_dims");
            Item item = s.find(Item.class, 2);
            Tap.equal(item.embedding, values[1], "read");
            boolean same = item.loose.length == Tap.EXTREME.length;
            for (int i = 0; same && i < item.loose.length; i++) {
                same = Float.floatToRawIntBits(item.loose[i]) == Float.floatToRawIntBits(Tap.EXTREME[i]);
            }
            Tap.ok(same, "vector bit for bit", Arrays.toString(item.loose));
            item.embedding = new float[] {7, 8, 9};
        });
        factory.inTransaction(s -> Tap.equal(s.find(Item.class, 2).embedding, new float[] {7, 8, 9}, "update"));
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
