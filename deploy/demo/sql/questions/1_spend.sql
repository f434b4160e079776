-- What did the last seven days cost, by team and model, and how much of it is estimated or has no price?
SELECT
    team,
    model,
    sum(requests) AS requests,
    round(sum(cost_usd), 2) AS usd,
    round(sum(cost_estimated_usd), 2) AS usd_estimated,
    sum(unpriced_requests) AS unpriced
FROM goodhart.usage_daily
WHERE day > (SELECT max(day) FROM goodhart.usage_daily) - 7
GROUP BY team, model
ORDER BY usd DESC NULLS LAST, team, model
LIMIT 12
