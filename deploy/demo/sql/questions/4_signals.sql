-- Which signals are open, by what is at stake, and what do they rest on?
SELECT
    s.code AS code,
    s.title AS title,
    trim(concat(s.scope_kind, ' ', s.scope)) AS about,
    s.label AS label,
    round(s.cost_at_stake_usd, 2) AS usd_at_stake,
    e.statistic AS statistic,
    e.value AS value,
    e.unit AS unit,
    e.threshold AS threshold,
    e.n AS n,
    e.look_alike_checked AS looked_for
FROM goodhart.signals AS s
INNER JOIN goodhart.signal_evidence AS e ON e.tenant = s.tenant AND e.signal_id = s.signal_id AND e.rev = s.rev
WHERE s.status != 'resolved'
ORDER BY usd_at_stake DESC NULLS LAST, s.signal_id, e.fact != 'headline', e.fact
LIMIT 20
