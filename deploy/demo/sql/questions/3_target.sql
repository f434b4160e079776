-- What does a usage target cost: tokens per outcome in the four weeks before it and in the last four, and the share of the tokens since that bought nothing?
SELECT
    k.target AS target,
    k.verdict AS verdict,
    round(1e6 / nullIf(anyIf(e.outcomes_per_million_tokens, e.as_of = k.compared_from), 0)) AS tokens_per_outcome_before,
    round(1e6 / nullIf(anyIf(e.outcomes_per_million_tokens, e.as_of = k.compared_to), 0)) AS tokens_per_outcome_since,
    round(k.excess_share, 3) AS bought_nothing,
    round(k.excess_share_lo, 3) AS lo,
    round(k.excess_share_hi, 3) AS hi,
    round(k.placebo_excess, 3) AS placebo,
    round(k.excess_cost_usd, 2) AS usd
FROM (SELECT * FROM goodhart.kpi_health WHERE scope_kind = 'tenant' ORDER BY week DESC LIMIT 1 BY tenant, target) AS k
LEFT JOIN goodhart.efficiency AS e ON e.tenant = k.tenant AND e.scope_kind = 'tenant' AND e.window = '28d'
GROUP BY ALL
ORDER BY target
