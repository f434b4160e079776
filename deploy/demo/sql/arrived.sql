-- Has the last tick come through every partition of the ledger, and its watermark
-- through the other two folds, and how many rows are there? The clock of the
-- traffic jumps by more than a day at its end: scores that follow the jump are the
-- last.
SELECT
    uniqExactIf(p, event_time >= fromUnixTimestamp64Milli({final:Int64})) = uniqExact(p) AND count() > 0
        AND (SELECT max(w) FROM core.scores) > fromUnixTimestamp64Milli({final:Int64}) - toIntervalDay(1),
    (SELECT count() FROM core.usage) + (SELECT count() FROM core.activity) + (SELECT count() FROM core.outcomes)
        + (SELECT count() FROM core.tallies) + (SELECT count() FROM core.dead) + (SELECT count() FROM core.scores)
FROM core.ticks
FORMAT TSV
