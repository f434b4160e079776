-- What does a final outcome cost each team over 28 days, between which bounds (90 %), and is the change against the 28 days before beyond noise?
WITH (SELECT max(as_of) FROM goodhart.efficiency WHERE window = '28d' AND scope_kind = 'team') AS today
SELECT
    scope AS team,
    n AS outcomes,
    round(unit, 2) AS usd_per_outcome,
    round(unit * exp(-1.645 / sqrt(n)), 2) AS lo,
    round(unit * exp(1.645 / sqrt(n)), 2) AS hi,
    round(unit_before, 2) AS usd_before,
    round(log(unit / unit_before) / sqrt(1 / n + 1 / n_before), 2) AS z,
    multiIf(isNull(z), 'unknown', abs(z) < 1.645, 'within noise', z < 0, 'cheaper', 'dearer') AS change
FROM
(
    SELECT
        scope,
        anyIf(nullIf(outcomes_final, 0), as_of = today) AS n,
        anyIf(nullIf(outcomes_final, 0), as_of = today - 28) AS n_before,
        anyIf(toFloat64(cost_usd), as_of = today) / n AS unit,
        anyIf(toFloat64(cost_usd), as_of = today - 28) / n_before AS unit_before
    FROM goodhart.efficiency
    WHERE window = '28d' AND scope_kind = 'team' AND as_of IN (today, today - 28)
    GROUP BY tenant, scope
)
ORDER BY team
LIMIT 20
