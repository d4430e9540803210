-- Binary format: what is sent, and what is received from a well-behaved and
-- from a hostile client.

SELECT vector_send('[1,-2,0.5]'), halfvec_send('[1,-2,0.5]'),
	sparsevec_send('{1:1,3:-2}/5'), sparsevec_send('{}/5');

-- received(type, bytes): the value that the server reads from those bytes in a
-- binary COPY, or the error. A large object carries the file to the server.
CREATE FUNCTION received(type text, bytes bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	file text := current_setting('data_directory') || '/types_binary.tmp';
	object oid := lo_from_bytea(0, '\x5047434f50590aff0d0a00'::bytea || '\x0000000000000000'
		|| '\x0001' || decode(lpad(to_hex(length(bytes)), 8, '0'), 'hex') || bytes || '\xffff');
	result text;
	state text;
	message text;
BEGIN
	PERFORM lo_export(object, file);
	PERFORM lo_unlink(object);
	EXECUTE format('CREATE TEMP TABLE received_value (v %s) ON COMMIT DROP', type);
	BEGIN
		EXECUTE format('COPY received_value FROM %L (FORMAT binary)', file);
		SELECT v::text INTO result FROM received_value;
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
		result := state || ' | ' || message;
	END;
	DROP TABLE received_value;
	RETURN result;
END $$;

-- There and back.
SELECT received('vector', vector_send('[1,-2,3.4e38,1e-45,-0]')),
	received('halfvec', halfvec_send('[1,-2,65504,5.9604645e-08,-0]')),
	received('sparsevec', sparsevec_send('{1:1,3:-2}/5')),
	received('sparsevec', sparsevec_send('{}/1000000000'));
SELECT received('vector', vector_send(v)) = v::text AS vector,
	received('halfvec', halfvec_send(v)) = v::halfvec::text AS halfvec,
	received('sparsevec', sparsevec_send(v)) = v::sparsevec::text AS sparsevec
FROM (SELECT array_agg(i % 100 ORDER BY i)::vector FROM generate_series(1, 16000) i) t(v);
SELECT received('vector(3)', vector_send('[1,2,3]')), received('vector(2)', vector_send('[1,2,3]')),
	received('halfvec(2)', halfvec_send('[1,2,3]')), received('sparsevec(2)', sparsevec_send('{}/3'));

-- vector: uint16 dimensions, uint16 zero, float4 elements.
SELECT bytes, received('vector', bytes) FROM (VALUES
	('\x'::bytea), ('\x00'), ('\x0001'), ('\x000100'), ('\x00010000'),
	('\x000100003f8000'), ('\x000100003f800000'), ('\x000100003f80000000'),
	('\x000200003f800000'), ('\x3e8000003f800000'), ('\x3e8100003f800000'),
	('\x000000003f800000'), ('\xffff00003f800000'), ('\x800000003f800000'),
	('\x7fff00003f800000'), ('\x000100013f800000'), ('\x0001ffff3f800000'),
	('\x000100007f800000'), ('\x00010000ff800000'), ('\x000100007fc00000'),
	('\x000100007f800001'), ('\x00010000ffffffff'), ('\x000100007f7fffff'),
	('\x0001000000000001'), ('\x0001000080000000')
) v(bytes);

-- halfvec: uint16 dimensions, uint16 zero, elements of two bytes.
SELECT bytes, received('halfvec', bytes) FROM (VALUES
	('\x'::bytea), ('\x000100'), ('\x00010000'), ('\x000100003c'), ('\x000100003c00'),
	('\x000100003c0000'), ('\x000200003c00'), ('\x3e8000003c00'), ('\x3e8100003c00'),
	('\x000000003c00'), ('\x800000003c00'), ('\x000100013c00'), ('\x0001ffff3c00'), ('\x000100007c00'),
	('\x00010000fc00'), ('\x000100007e00'), ('\x000100007c01'), ('\x00010000ffff'),
	('\x000100007bff'), ('\x000100000001'), ('\x000100008000')
) v(bytes);

-- sparsevec: int32 dimensions, number of elements, zero; int32 indices from 0;
-- float4 values, none of them zero.
SELECT bytes, received('sparsevec', bytes) FROM (VALUES
	('\x'::bytea), ('\x00000001'), ('\x0000000100000000000000'),
	('\x000000010000000000000000'), ('\x00000001000000000000000000'),
	('\x000000000000000000000000'), ('\xffffffff0000000000000000'),
	('\x3b9aca000000000000000000'), ('\x3b9aca010000000000000000'),
	('\x000000010000000100000000000000003f800000'), ('\x00000001000000010000000000000000'),
	('\x000000010000000100000000000000003f8000'), ('\x000000010000000000000001'),
	('\x00000001ffffffff00000000'), ('\x000000018000000000000000'),
	('\x000000010000000200000000'), ('\x7fffffff7fffffff00000000'),
	('\x3b9aca0000003e8000000000'), ('\x3b9aca0000003e8100000000'),
	('\x000000020000000100000000ffffffff3f800000'), ('\x000000020000000100000000000000023f800000'),
	('\x000000020000000100000000800000003f800000'), ('\x0000000200000001000000007fffffff3f800000'),
	('\x00000002000000020000000000000000000000013f80000040000000'),
	('\x00000002000000020000000000000001000000003f80000040000000'),
	('\x00000002000000020000000000000001000000013f80000040000000'),
	('\x0000000200000001000000000000000000000000'), ('\x0000000200000001000000000000000080000000'),
	('\x000000020000000100000000000000007f800000'), ('\x000000020000000100000000000000007fc00000'),
	('\x0000000200000001000000000000000000000001')
) v(bytes);

-- An array of them is read by the same functions.
SELECT received('vector[]', array_send(ARRAY['[1,2]', '[3]']::vector[]));

DROP FUNCTION received;
