-- What did the last week cost, by team and model, and how much is unpriced?
SELECT
    team,
    model,
    sum(requests) AS requests,
    round(sum(cost_usd), 2) AS cost_usd,
    sum(unpriced_requests) AS unpriced
FROM goodhart.usage_daily
WHERE day > (SELECT max(day) FROM goodhart.usage_daily) - 7
GROUP BY team, model
ORDER BY cost_usd DESC NULLS LAST
LIMIT 8
