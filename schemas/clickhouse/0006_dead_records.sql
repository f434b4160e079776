-- The fate of a usage, activity or outcome record is decided by the ledger and by
-- the sink that stores its fact. What a fold behind them could not use is stored
-- all the same, and a judgement that could not be stored was never accepted.
ALTER TABLE core.mv_quality_dead {{onCluster}} MODIFY QUERY
SELECT
    d.tenant AS tenant,
    d.source AS source,
    toStartOfHour(toDateTime(d.event_time, 'UTC')) AS hour,
    uniqExactState(toString(d.topic), d.partition, d.offset) AS dead
FROM core.dead AS d
WHERE d.stage IN ('ledger', 'sink') AND d.topic IN ('goodhart.events.v1', 'goodhart.facts.v1')
GROUP BY tenant, source, hour;
