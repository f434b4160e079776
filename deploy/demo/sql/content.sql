-- The clients sent prompts, commands, paths and e-mail addresses, all of them
-- with a mark. Lists the tables in which a mark or an address has arrived.
SELECT name, n FROM
(
    SELECT 'activity' AS name, countIf(match(toString(tuple(*)), {mark:String} || '|@[a-z]+[.]example')) AS n FROM core.activity
    UNION ALL
    SELECT 'dead', countIf(match(toString(tuple(*)), {mark:String} || '|@[a-z]+[.]example')) FROM core.dead
    UNION ALL
    SELECT 'outcomes', countIf(match(toString(tuple(*)), {mark:String} || '|@[a-z]+[.]example')) FROM core.outcomes
    UNION ALL
    SELECT 'usage', countIf(match(toString(tuple(*)), {mark:String} || '|@[a-z]+[.]example')) FROM core.usage
)
WHERE n > 0
ORDER BY name
FORMAT TSV
