-- The service that ran away has one question of rate, which was resolved. Lists
-- what is wrong with that.
WITH said AS
(
    SELECT signal_id, argMax(status, rev) AS status
    FROM core.signals
    WHERE code = 'R1' AND scope_kind = 'service' AND scope IN (SELECT subject FROM demo.services WHERE part = 'runaway')
    GROUP BY signal_id
)
SELECT 'signals' AS what, toString(count()) AS got FROM said HAVING count() != 1
UNION ALL
SELECT 'status', status FROM said WHERE status != 'resolved'
FORMAT TSV
