-- Nothing is dropped: of every source and hour of acceptance, accepted =
-- duplicates + held + stored + merged + dead. Lists what breaks the rule.
SELECT
    tenant, source, toString(hour), accepted, duplicates, held, stored, merged, dead
FROM goodhart.data_quality
WHERE accepted != duplicates + held + stored + merged + dead
ORDER BY ALL
FORMAT TSV
