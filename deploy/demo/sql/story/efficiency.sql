-- Scores of 28 days against the truth, on the last day that has both.
SELECT
    e.scope AS team,
    round(e.cost_usd, 2) AS cost_usd,
    e.outcomes AS outcomes,
    round(e.outcomes_expected, 1) AS expected,
    round(e.score) AS score,
    round(e.score_lo) AS lo,
    round(e.score_hi) AS hi,
    round(t.truth) AS truth,
    if(e.score IS NULL, 'unknown', if(t.truth BETWEEN e.score_lo AND e.score_hi, 'inside', 'outside')) AS truth_is,
    e.status AS status
FROM goodhart.efficiency AS e
INNER JOIN demo.efficiency AS t ON t.team = e.scope AND t.as_of = e.as_of
WHERE e.scope_kind = 'team' AND e.window = '28d'
    AND e.as_of = (SELECT max(as_of) FROM demo.efficiency WHERE as_of IN (SELECT as_of FROM goodhart.efficiency WHERE window = '28d'))
ORDER BY score DESC NULLS LAST, team
