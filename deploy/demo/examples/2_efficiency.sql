-- What does a verified outcome cost each team, over 28 days?
SELECT
    scope AS team,
    round(cost_usd, 2) AS cost_usd,
    outcomes,
    outcomes_final AS final,
    outcomes_reverted AS reverted,
    round(cost_per_outcome_usd, 2) AS usd_per_outcome,
    round(cache_read_share, 3) AS cache_read_share,
    status
FROM goodhart.efficiency
WHERE scope_kind = 'team' AND window = '28d'
    AND as_of = (SELECT max(as_of) FROM goodhart.efficiency WHERE window = '28d' AND scope_kind = 'team')
ORDER BY usd_per_outcome
LIMIT 12
