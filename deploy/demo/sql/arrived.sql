-- Has the last tick come through every partition, and how many rows are there?
SELECT
    uniqExactIf(p, event_time >= fromUnixTimestamp64Milli({final:Int64})) = uniqExact(p) AND count() > 0,
    (SELECT count() FROM core.usage) + (SELECT count() FROM core.activity) + (SELECT count() FROM core.outcomes)
        + (SELECT count() FROM core.tallies) + (SELECT count() FROM core.dead) + (SELECT count() FROM core.scores)
FROM core.ticks
FORMAT TSV
