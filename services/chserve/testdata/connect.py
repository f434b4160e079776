"""What a stranger's client does: DDL, insert, parameters, a streamed million rows, a typed error.

Usage: connect.py host port database
Prints one line per step; exits 1 with the reason at the first that is wrong.
"""

import datetime
import sys

import clickhouse_connect
from clickhouse_connect.driver.exceptions import DatabaseError


def check(step, got, want):
    if got != want:
        sys.exit(f"{step}: got {got!r}, want {want!r}")
    print(f"{step}: ok")


def main(host, port, database):
    client = clickhouse_connect.get_client(host=host, port=int(port), database=database)
    check("version", client.server_version.startswith("26."), True)

    client.command("CREATE TABLE t (id UInt32, name LowCardinality(String), at DateTime64(3, 'UTC'), v Nullable(Float64), tags Array(String))"
                   " ENGINE = MergeTree ORDER BY id")
    check("ddl", client.command("EXISTS TABLE t"), 1)

    at = datetime.datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=datetime.timezone.utc)
    rows = [[i, f"n\n\n{i % 5}", at, None if i % 2 else i / 4, ["a", "b"][: i % 3]] for i in range(10_000)]
    client.insert("t", rows, column_names=["id", "name", "at", "v", "tags"])
    check("insert", client.command("SELECT count() FROM t"), 10_000)
    got = client.query("SELECT * FROM t ORDER BY id", tz_mode="aware").result_rows
    check("read back", [[r[0], r[1], r[2].astimezone(datetime.timezone.utc), r[3], list(r[4])] for r in got], rows)

    for compression in ("lz4", "zstd", "gzip", False):
        other = clickhouse_connect.get_client(host=host, port=int(port), database=database, compress=compression)
        other.command("CREATE OR REPLACE TABLE c AS t")
        other.insert("c", rows, column_names=["id", "name", "at", "v", "tags"])
        check(f"compress={compression}", other.query("SELECT count(), sum(id), uniqExact(name) FROM c").result_rows, [(10_000, 49_995_000, 5)])

    check("parameters", client.query("SELECT name, {n:UInt32} + 1 FROM t WHERE id = {id:UInt32} AND name != {s:String}",
                                     parameters={"id": 7, "n": 41, "s": "it's \\ a\ttab"}).result_rows, [("n\n\n2", 42)])
    check("client-side parameters", client.query("SELECT count() FROM t WHERE id < %(n)s", parameters={"n": 10}).result_rows, [(10,)])
    check("settings", client.query("SELECT getSetting('max_threads')", settings={"max_threads": 3}).result_rows, [(3,)])

    count = total = blocks = 0
    with client.query_column_block_stream("SELECT number, toString(number) FROM numbers(1000000)") as stream:
        for block in stream:
            blocks += 1
            count += len(block[0])
            total += sum(block[0])
    check("a streamed million", (count, total, blocks > 1), (1_000_000, 499_999_500_000, True))

    try:
        client.query("SELECT * FROM nosuch")
        sys.exit("typed error: none was raised")
    except DatabaseError as e:
        check("typed error", "UNKNOWN_TABLE" in str(e), True)
    try:
        with client.query_row_block_stream("SELECT throwIf(number = 900000) FROM numbers(1000000) SETTINGS max_block_size = 10000") as stream:
            for _ in stream:
                pass
        sys.exit("error behind rows: none was raised")
    except Exception as e:  # which class it is depends on how much had arrived
        check("error behind rows", "throwIf" in str(e) or "FUNCTION_THROW_IF" in str(e), True)

    client.command("CREATE TEMPORARY TABLE mine (a UInt8)")
    client.command("INSERT INTO mine VALUES (1), (2)")
    check("session", client.command("SELECT sum(a) FROM mine"), 3)
    check("raw json", b'"x": 1' in client.raw_query("SELECT 1 AS x", fmt="JSON"), True)


main(*sys.argv[1:])
