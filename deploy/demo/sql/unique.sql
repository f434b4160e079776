-- Nothing is stored twice: no announced event, by its id, and no record of Kafka,
-- by its offset. Lists what is.
SELECT name, what, n FROM
(
    SELECT name, 'event ' || hex(event_id) AS what, count() AS n FROM
    (
        SELECT 'usage' AS name, event_id FROM core.usage
        UNION ALL
        SELECT 'activity', event_id FROM core.activity
        UNION ALL
        SELECT 'outcomes', event_id FROM core.outcomes WHERE record = 'announced'
    )
    GROUP BY name, event_id
    UNION ALL
    SELECT name, k_topic || '/' || toString(k_partition) || '@' || toString(k_offset), count() FROM
    (
        SELECT 'usage' AS name, k_topic, k_partition, k_offset FROM core.usage
        UNION ALL
        SELECT 'activity', k_topic, k_partition, k_offset FROM core.activity
        UNION ALL
        SELECT 'outcomes', k_topic, k_partition, k_offset FROM core.outcomes
        UNION ALL
        SELECT 'ticks', k_topic, k_partition, k_offset FROM core.ticks
        UNION ALL
        SELECT 'tallies', k_topic, k_partition, k_offset FROM core.tallies
        UNION ALL
        SELECT 'dead', k_topic, k_partition, k_offset FROM core.dead
    )
    GROUP BY name, k_topic, k_partition, k_offset
)
WHERE n > 1
ORDER BY name, what
LIMIT 100
FORMAT TSV
