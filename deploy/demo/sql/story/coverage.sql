-- Efficiency over all days. Windows of 28 days that end a day apart are almost the
-- same: as many scores, and few of them independent.
SELECT
    e.status AS status,
    count() AS scores,
    uniqExact(e.scope) AS teams,
    round(avg(t.truth BETWEEN e.score_lo AND e.score_hi), 2) AS interval_holds,
    round(avg(abs(e.score - t.truth)), 1) AS mean_error,
    round(avg(abs(t.truth - 100)), 1) AS error_of_saying_100
FROM goodhart.efficiency AS e
INNER JOIN demo.efficiency AS t ON t.team = e.scope AND t.as_of = e.as_of
WHERE e.scope_kind = 'team' AND e.window = '28d' AND e.score IS NOT NULL
GROUP BY status
ORDER BY status
