-- Every signal that is about no person, and what the simulator knows of it.
-- Sums of what gamers do may show at their target, tool, model or company.
SELECT
    s.code AS code,
    s.scope_kind AS scope_kind,
    s.scope AS scope,
    s.label AS label,
    s.status AS status,
    s.opened AS opened_at,
    s.resolved AS resolved_at,
    multiIf(
        (s.scope, s.code) IN (SELECT subject, code FROM demo.services), 'true: a service ' || if(s.code = 'R1', 'ran away', 'lost its cache'),
        s.code = 'R3' AND toDate(s.opened) IN (SELECT since FROM demo.services WHERE part = 'runaway'), 'true: a service ran away',
        s.scope_kind = 'team' AND s.scope IN (SELECT team FROM demo.cast WHERE team != ''), 'true: the team changed, honestly',
        s.scope_kind IN ('metric', 'tenant', 'tool', 'model') AND toDate(s.opened) > (SELECT day FROM demo.announced), 'possible: the target is gamed',
        'false'
    ) AS truth
FROM
(
    SELECT
        signal_id,
        argMax(code, rev) AS code,
        argMax(scope_kind, rev) AS scope_kind,
        argMax(scope, rev) AS scope,
        argMax(label, rev) AS label,
        argMax(status, rev) AS status,
        toDateTime(min(opened_at), 'UTC') AS opened,
        toDateTime(argMax(resolved_at, rev), 'UTC') AS resolved
    FROM core.signals
    GROUP BY signal_id
) AS s
ORDER BY opened_at, code, scope
