// pgx with pgvector-go: text and binary, COPY, arrays, every type.
package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"reflect"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/pgvector/pgvector-go"
	pgxvec "github.com/pgvector/pgvector-go/pgx"
)

var count, failed int

func ok(good bool, what string, detail ...any) {
	count++
	if good {
		fmt.Printf("ok %d - %s\n", count, what)
		return
	}
	failed++
	fmt.Printf("not ok %d - %s\n#   %v\n", count, what, detail)
}

func must(err error) {
	if err != nil {
		fmt.Printf("# %v\n", err)
		os.Exit(2)
	}
}

func fails(err error, text, what string) {
	var e *pgconn.PgError
	ok(errors.As(err, &e) && strings.Contains(e.Message, text), what, err)
}

// sameBits sees -0.
func sameBits(a, b []float32) bool {
	same := len(a) == len(b)
	for i := 0; same && i < len(a); i++ {
		same = math.Float32bits(a[i]) == math.Float32bits(b[i])
	}
	return same
}

func ids(conn *pgx.Conn, query string, args ...any) []int32 {
	rows, err := conn.Query(context.Background(), query, args...)
	must(err)
	got, err := pgx.CollectRows(rows, pgx.RowTo[int32])
	must(err)
	return got
}

func main() {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, os.Getenv("DATABASE_URL"))
	must(err)
	exec := func(sql string, args ...any) {
		_, err := conn.Exec(ctx, sql, args...)
		must(err)
	}
	exec("CREATE EXTENSION IF NOT EXISTS vector")
	must(pgxvec.RegisterTypes(ctx, conn))
	exec(`CREATE TABLE item (id serial PRIMARY KEY, kind text, embedding vector(3),
		half halfvec(3), sparse sparsevec(3), bits bit(3))`)
	exec("CREATE INDEX ON item USING hnsw (embedding vector_l2_ops) WITH (m = 8, ef_construction = 40)")
	exec("CREATE INDEX ON item USING hnsw (half halfvec_cosine_ops)")
	exec("CREATE INDEX ON item USING hnsw (sparse sparsevec_l2_ops)")
	exec("CREATE INDEX ON item USING hnsw (bits bit_hamming_ops)")
	values := [][]float32{{1, 1, 1}, {2, 2, 2}, {1, 1, 2}}
	bits := []string{"000", "101", "111"}
	kinds := []string{"a", "b", "a"}
	for i, v := range values {
		exec("INSERT INTO item (kind, embedding, half, sparse, bits) VALUES ($1, $2, $3, $4, $5::text::bit(3))",
			kinds[i], pgvector.NewVector(v), pgvector.NewHalfVector(v), pgvector.NewSparseVector(v), bits[i])
	}
	var v pgvector.Vector
	var h pgvector.HalfVector
	var s pgvector.SparseVector
	must(conn.QueryRow(ctx, "SELECT embedding, half, sparse FROM item WHERE id = 3").Scan(&v, &h, &s))
	ok(reflect.DeepEqual([][]float32{v.Slice(), h.Slice(), s.Slice()}, [][]float32{values[2], values[2], values[2]}), "insert and read")
	one := []float32{1, 1, 1}
	for _, q := range []struct {
		order string
		arg   any
		want  []int32
	}{
		{"embedding <-> $1", pgvector.NewVector(one), []int32{1, 3, 2}},
		{"embedding <#> $1", pgvector.NewVector(one), []int32{2, 3, 1}},
		{"embedding <=> $1, id", pgvector.NewVector(one), []int32{1, 2, 3}},
		{"embedding <+> $1", pgvector.NewVector(one), []int32{1, 3, 2}},
		{"half <-> $1", pgvector.NewHalfVector(one), []int32{1, 3, 2}},
		{"half <#> $1", pgvector.NewHalfVector(one), []int32{2, 3, 1}},
		{"half <=> $1, id", pgvector.NewHalfVector(one), []int32{1, 2, 3}},
		{"half <+> $1", pgvector.NewHalfVector(one), []int32{1, 3, 2}},
		{"sparse <-> $1", pgvector.NewSparseVector(one), []int32{1, 3, 2}},
		{"sparse <#> $1", pgvector.NewSparseVector(one), []int32{2, 3, 1}},
		{"sparse <=> $1, id", pgvector.NewSparseVector(one), []int32{1, 2, 3}},
		{"sparse <+> $1", pgvector.NewSparseVector(one), []int32{1, 3, 2}},
		{"bits <~> $1::text::bit(3)", "101", []int32{2, 3, 1}},
		{"bits <%> $1::text::bit(3)", "101", []int32{2, 3, 1}},
	} {
		got := ids(conn, "SELECT id FROM item ORDER BY "+q.order+" LIMIT 5", q.arg)
		ok(reflect.DeepEqual(got, q.want), q.order, got)
	}
	ok(reflect.DeepEqual(ids(conn, "SELECT id FROM item WHERE kind = 'a' AND embedding <-> $1 < 0.5", pgvector.NewVector(one)), []int32{1}), "filter")
	exec("UPDATE item SET embedding = $1 WHERE id = 2", pgvector.NewVector([]float32{7, 8, 9}))
	must(conn.QueryRow(ctx, "SELECT embedding FROM item WHERE id = 2").Scan(&v))
	ok(reflect.DeepEqual(v.Slice(), []float32{7, 8, 9}), "update")

	exec("CREATE TABLE bulk (id int, v vector(8)); CREATE INDEX ON bulk USING hnsw (v vector_l2_ops)")
	data := make([][]any, 2000)
	for i := range data {
		x := make([]float32, 8)
		for j := range x {
			x[j] = float32(math.Sin(float64(i*7 + j*j + 1)))
		}
		data[i] = []any{int32(i), pgvector.NewVector(x)}
	}
	_, err = conn.CopyFrom(ctx, pgx.Identifier{"bulk"}, []string{"id", "v"}, pgx.CopyFromRows(data))
	must(err)
	ok(reflect.DeepEqual(ids(conn, "SELECT id FROM bulk ORDER BY v <-> $1 LIMIT 1", data[777][1]), []int32{777}), "COPY binary")

	extreme := []float32{math.MaxFloat32, -math.MaxFloat32, 1.1754943508222875e-38, math.SmallestNonzeroFloat32,
		float32(math.Copysign(0, -1)), 0, 0.1, 1.0 / 3, 16777217, 1e-5, 1.0000001}
	half := []float32{65504, -65504, 6.103515625e-05, 5.960464477539063e-08, float32(math.Copysign(0, -1)), 0, 0.0999755859375}
	elements := map[int32]float32{0: math.MaxFloat32, 7: -math.SmallestNonzeroFloat32, 999: 0.1}
	sparse := pgvector.NewSparseVectorFromMap(elements, 1000)
	bit := pgtype.Bits{Bytes: []byte{0xb7, 0x1e, 0xa0}, Len: 19, Valid: true}
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeSimpleProtocol} {
		var b pgtype.Bits
		// The simple protocol knows only of values that are text already.
		var bitArg any = bit
		if mode == pgx.QueryExecModeSimpleProtocol {
			bitArg = "1011011100011110101"
		}
		must(conn.QueryRow(ctx, "SELECT $1::vector, $2::halfvec, $3::sparsevec, $4::bit(19)", mode, pgvector.NewVector(extreme),
			pgvector.NewHalfVector(half), sparse, bitArg).Scan(&v, &h, &s, &b))
		ok(sameBits(v.Slice(), extreme), fmt.Sprintf("vector bit for bit, %v", mode), v)
		ok(sameBits(h.Slice(), half), fmt.Sprintf("halfvec bit for bit, %v", mode), h)
		ok(s.Dimensions() == 1000 && reflect.DeepEqual(s.Indices(), []int32{0, 7, 999}) &&
			sameBits(s.Values(), []float32{elements[0], elements[7], elements[999]}), fmt.Sprintf("sparsevec bit for bit, %v", mode), s)
		ok(reflect.DeepEqual(b, bit), fmt.Sprintf("bit bit for bit, %v", mode), b)
	}
	many := []pgvector.Vector{pgvector.NewVector(one), pgvector.NewVector([]float32{4, 5})}
	var manyBack []pgvector.Vector
	must(conn.QueryRow(ctx, "SELECT $1::vector[]", many).Scan(&manyBack))
	ok(reflect.DeepEqual(manyBack, many), "array of vectors", manyBack)
	put := func(arg any) error {
		_, err := conn.Exec(ctx, "INSERT INTO item (embedding) VALUES ($1)", arg)
		return err
	}
	fails(put(pgvector.NewVector([]float32{1, 2})), "expected 3 dimensions, not 2", "wrong dimension")
	fails(put(pgvector.NewVector([]float32{1, 2, float32(math.NaN())})), "NaN not allowed in vector", "NaN")
	fails(put(pgvector.NewVector([]float32{1, 2, float32(math.Inf(1))})), "infinite value not allowed in vector", "infinity")
	ok(put(nil) == nil, "NULL is stored")
	fmt.Printf("1..%d\n", count)
	if failed > 0 {
		os.Exit(1)
	}
}
