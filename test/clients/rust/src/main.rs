// rust-postgres with pgvector: binary only.
use half::f16;
use pgvector::{Bit, HalfVector, SparseVector, Vector};
use postgres::binary_copy::BinaryCopyInWriter;
use postgres::types::{ToSql, Type};
use postgres::{Client, NoTls};
use std::collections::HashMap;
use std::io::Write;

struct Tap {
    count: u32,
    failed: u32,
}

impl Tap {
    fn ok(&mut self, good: bool, what: &str, detail: &str) {
        self.count += 1;
        println!("{} {} - {}", if good { "ok" } else { "not ok" }, self.count, what);
        if !good {
            self.failed += 1;
            println!("#   {}", detail);
        }
    }

    fn fails<T>(&mut self, result: Result<T, postgres::Error>, text: &str, what: &str) {
        let message = match result {
            Ok(_) => "no error".to_string(),
            Err(e) => e.as_db_error().map_or(e.to_string(), |d| d.message().to_string()),
        };
        self.ok(message.contains(text), what, &message);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut tap = Tap { count: 0, failed: 0 };
    let mut client = Client::connect(&std::env::var("DATABASE_URL")?, NoTls)?;
    client.batch_execute(
        "CREATE EXTENSION IF NOT EXISTS vector;
         CREATE TABLE item (id serial PRIMARY KEY, kind text, embedding vector(3),
             half halfvec(3), sparse sparsevec(3), bits bit(3));
         CREATE INDEX ON item USING hnsw (embedding vector_l2_ops) WITH (m = 8, ef_construction = 40);
         CREATE INDEX ON item USING hnsw (half halfvec_l2_ops);
         CREATE INDEX ON item USING hnsw (sparse sparsevec_l2_ops);
         CREATE INDEX ON item USING hnsw (bits bit_hamming_ops);",
    )?;
    let half = |v: &[f32]| HalfVector::from(v.iter().map(|x| f16::from_f32(*x)).collect::<Vec<_>>());
    let values = [("a", [1., 1., 1.], [false, false, false]), ("b", [2., 2., 2.], [true, false, true]), ("a", [1., 1., 2.], [true, true, true])];
    for (kind, v, b) in &values {
        client.execute(
            "INSERT INTO item (kind, embedding, half, sparse, bits) VALUES ($1, $2, $3, $4, $5)",
            &[kind, &Vector::from(v.to_vec()), &half(v), &SparseVector::from_dense(v), &Bit::new(b)],
        )?;
    }
    let row = client.query_one("SELECT embedding, half, sparse FROM item WHERE id = 3", &[])?;
    tap.ok(row.get::<_, Vector>(0).as_slice() == [1., 1., 2.] && row.get::<_, HalfVector>(1) == half(&[1., 1., 2.])
        && row.get::<_, SparseVector>(2).to_vec() == [1., 1., 2.], "insert and read", "");

    let one = [1f32, 1., 1.];
    let vector = Vector::from(one.to_vec());
    let halfvec = half(&one);
    let sparse = SparseVector::from_dense(&one);
    let bits = Bit::new(&[true, false, true]);
    let queries: [(&str, &(dyn ToSql + Sync), [i32; 3]); 14] = [
        ("embedding <-> $1", &vector, [1, 3, 2]),
        ("embedding <#> $1", &vector, [2, 3, 1]),
        ("embedding <=> $1, id", &vector, [1, 2, 3]),
        ("embedding <+> $1", &vector, [1, 3, 2]),
        ("half <-> $1", &halfvec, [1, 3, 2]),
        ("half <#> $1", &halfvec, [2, 3, 1]),
        ("half <=> $1, id", &halfvec, [1, 2, 3]),
        ("half <+> $1", &halfvec, [1, 3, 2]),
        ("sparse <-> $1", &sparse, [1, 3, 2]),
        ("sparse <#> $1", &sparse, [2, 3, 1]),
        ("sparse <=> $1, id", &sparse, [1, 2, 3]),
        ("sparse <+> $1", &sparse, [1, 3, 2]),
        ("bits <~> $1", &bits, [2, 3, 1]),
        ("bits <%> $1", &bits, [2, 3, 1]),
    ];
    for (order, arg, want) in queries {
        let rows = client.query(&format!("SELECT id FROM item ORDER BY {order} LIMIT 5"), &[arg])?;
        let got: Vec<i32> = rows.iter().map(|r| r.get(0)).collect();
        tap.ok(got == want, order, &format!("{got:?}"));
    }
    let n: i64 = client.query_one("SELECT count(*) FROM item WHERE kind = 'a' AND embedding <-> $1 < 0.5", &[&vector])?.get(0);
    tap.ok(n == 1, "filter", &n.to_string());
    client.execute("UPDATE item SET embedding = $1 WHERE id = 2", &[&Vector::from(vec![7., 8., 9.])])?;
    let v: Vector = client.query_one("SELECT embedding FROM item WHERE id = 2", &[])?.get(0);
    tap.ok(v.as_slice() == [7., 8., 9.], "update", "");
    let many = vec![vector.clone(), Vector::from(vec![4., 5.])];
    let back: Vec<Vector> = client.query_one("SELECT $1::vector[]", &[&many])?.get(0);
    tap.ok(back == many, "array of vectors", &format!("{back:?}"));

    client.batch_execute("CREATE TABLE bulk (id int, v vector(2)); CREATE INDEX ON bulk USING hnsw (v vector_l2_ops)")?;
    let mut copy = client.copy_in("COPY bulk FROM STDIN")?;
    copy.write_all(b"-1\t[1,2]\n-2\t[3,4]\n")?;
    tap.ok(copy.finish()? == 2, "COPY of text", "");
    let vector_type = client.prepare("SELECT $1::vector")?.params()[0].clone();
    let mut copy = BinaryCopyInWriter::new(client.copy_in("COPY bulk FROM STDIN WITH (FORMAT BINARY)")?, &[Type::INT4, vector_type]);
    for i in 0..2000i32 {
        copy.write(&[&i, &Vector::from(vec![i as f32, (i * i % 97) as f32])])?;
    }
    tap.ok(copy.finish()? == 2000, "COPY of binary", "");
    let near: i32 = client.query_one("SELECT id FROM bulk ORDER BY v <-> $1 LIMIT 1", &[&Vector::from(vec![777., 1.])])?.get(0);
    tap.ok(near == 777, "found by the index", &near.to_string());

    let extreme = vec![f32::MAX, f32::MIN, f32::MIN_POSITIVE, 1e-45, -1e-45, -0.0, 0.0, 0.1, 1. / 3., 16777216., 1e-5, 1.0000001];
    let back: Vector = client.query_one("SELECT $1::vector", &[&Vector::from(extreme.clone())])?.get(0);
    tap.ok(back.as_slice().iter().map(|x| x.to_bits()).eq(extreme.iter().map(|x| x.to_bits())), "vector bit for bit", &format!("{back:?}"));
    let extreme = HalfVector::from([65504., -65504., 6.103515625e-05, 5.960464477539063e-08, -0.0, 0.0, 0.0999755859375].map(f16::from_f32).to_vec());
    let back: HalfVector = client.query_one("SELECT $1::halfvec", &[&extreme])?.get(0);
    tap.ok(back.as_slice().iter().map(|x| x.to_bits()).eq(extreme.as_slice().iter().map(|x| x.to_bits())), "halfvec bit for bit", &format!("{back:?}"));
    let extreme = SparseVector::from_map(&HashMap::from([(0, f32::MAX), (7, -1e-45), (999, 0.1)]), 1000);
    let back: SparseVector = client.query_one("SELECT $1::sparsevec", &[&extreme])?.get(0);
    tap.ok(back == extreme && back.dimensions() == 1000 && back.indices() == [0, 7, 999], "sparsevec bit for bit", &format!("{back:?}"));
    let extreme = Bit::new(&"1011011100011110101".chars().map(|c| c == '1').collect::<Vec<_>>());
    let back: Bit = client.query_one("SELECT $1::bit(19)", &[&extreme])?.get(0);
    tap.ok(back.len() == 19 && back.as_bytes() == [0xb7, 0x1e, 0xa0], "bit bit for bit", &format!("{back:?}"));

    let put = "INSERT INTO item (embedding) VALUES ($1)";
    tap.fails(client.execute(put, &[&Vector::from(vec![1., 2.])]), "expected 3 dimensions, not 2", "wrong dimension");
    tap.fails(client.execute(put, &[&Vector::from(vec![1., 2., f32::NAN])]), "NaN not allowed in vector", "NaN");
    tap.fails(client.execute(put, &[&Vector::from(Vec::<f32>::new())]), "vector must have at least 1 dimension", "no dimension");
    tap.ok(client.execute(put, &[&None::<Vector>])? == 1, "NULL is stored", "");
    println!("1..{}", tap.count);
    std::process::exit(if tap.failed > 0 { 1 } else { 0 });
}
