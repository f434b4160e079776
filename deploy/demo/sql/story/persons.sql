-- Who is who: the parts of the truth by pseudonym. A person is known by one
-- request; for the other queries of this directory.
CREATE VIEW demo.persons AS
WITH known AS
(
    SELECT u.subject AS subject, any(c.part) AS part, any(c.kind) AS kind, any(c.expected) AS expected, any(c.since) AS since
    FROM demo.cast AS c
    INNER JOIN core.usage AS u ON toUnixTimestamp64Milli(u.event_time) = c.at AND u.output_tokens = c.output AND ifNull(u.cache_read_tokens, 0) = c.read
    WHERE c.kind != 'service' AND u.observational = 0
    GROUP BY subject
)
SELECT
    p.subject AS subject,
    p.weeks AS weeks,
    p.busy AS busy,
    if(k.part = '', 'nothing unusual', k.part) AS part,
    if(k.kind = '', 'honest', k.kind) AS kind,
    k.expected AS expected,
    k.since AS since
FROM
(
    -- busy are the weeks of 50 requests and more, which most signals ask for.
    SELECT subject, groupArray(week) AS weeks, groupArrayIf(week, requests >= 50) AS busy
    FROM
    (
        SELECT subject, toMonday(event_time) AS week, countIf(granularity = 'request') AS requests
        FROM core.usage
        WHERE identity_type = 'human' AND observational = 0
        GROUP BY subject, week
    )
    GROUP BY subject
) AS p
LEFT JOIN known AS k ON k.subject = p.subject
