-- The card of the target in each week since the announcement. truly_wasted is the
-- share of the tokens since then that the simulator spent for the target alone.
SELECT
    k.week AS week,
    round(k.elasticity, 3) AS elasticity,
    round(k.elasticity_lo, 2) AS lo,
    round(k.elasticity_hi, 2) AS hi,
    round(k.bunching, 1) AS bunching,
    round(k.excess_share, 3) AS excess_share,
    round(k.excess_share_lo, 2) AS excess_lo,
    round(k.excess_share_hi, 2) AS excess_hi,
    round(k.placebo_excess, 3) AS placebo,
    round(sum(e.wasted) / sum(e.tokens), 3) AS truly_wasted,
    k.excess_cost_usd AS excess_usd,
    k.verdict AS verdict,
    k.reasons AS reasons
FROM goodhart.kpi_health AS k
CROSS JOIN demo.excess AS e
WHERE k.scope_kind = 'tenant' AND e.week <= k.week AND e.week >= (SELECT day FROM demo.announced)
GROUP BY k.week, k.elasticity, k.elasticity_lo, k.elasticity_hi, k.bunching, k.excess_share, k.excess_share_lo, k.excess_share_hi,
    k.placebo_excess, k.excess_cost_usd, k.verdict, k.reasons
ORDER BY week
