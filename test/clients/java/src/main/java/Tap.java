import java.sql.SQLException;
import java.util.Objects;

/** TAP output, for the programs of this folder. */
final class Tap {
    static final String URL = "jdbc:postgresql://127.0.0.1:" + System.getenv("PGPORT") + "/"
        + System.getenv("PGDATABASE") + "?user=app&password=app";
    static final float[] EXTREME = {
        Float.MAX_VALUE, -Float.MAX_VALUE, Float.MIN_NORMAL, Float.MIN_VALUE, -Float.MIN_VALUE, -0f, 0f,
        0.1f, 1f / 3, 16777216f, 1e-5f, 9.999999e9f, 1.0000001f, 123456.789f};
    private static int count;
    private static int failed;

    interface Call {
        void run() throws Exception;
    }

    static void ok(boolean good, String what, Object detail) {
        System.out.println((good ? "ok " : "not ok ") + ++count + " - " + what);
        if (!good) {
            failed++;
            System.out.println("#   " + detail);
        }
    }

    /** For comparisons that see -0. */
    static int[] bits(float[] values) {
        int[] bits = new int[values.length];
        for (int i = 0; i < values.length; i++) {
            bits[i] = Float.floatToRawIntBits(values[i]);
        }
        return bits;
    }

    static void equal(Object got, Object want, String what) {
        ok(Objects.deepEquals(got, want), what, "got " + got + ", want " + want);
    }

    /** The call fails with an SQLException of that state whose message has the text. */
    static void fails(Call call, String state, String text, String what) {
        try {
            call.run();
            ok(false, what, "no error");
        } catch (Throwable error) {
            for (Throwable t = error; t != null; t = t.getCause()) {
                if (t instanceof SQLException s && state.equals(s.getSQLState()) && s.getMessage().contains(text)) {
                    ok(true, what, null);
                    return;
                }
            }
            ok(false, what, error);
        }
    }

    static void done() {
        System.out.println("1.." + count);
        System.exit(failed > 0 ? 1 : 0);
    }
}
