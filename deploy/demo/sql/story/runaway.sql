-- The service that ran away has one question, of rate, that was opened within a
-- few minutes of event time and resolved. Lists what is wrong with that.
WITH said AS
(
    SELECT signal_id, min(s.opened_at) AS opened, argMax(s.status, s.rev) AS status
    FROM core.signals AS s
    WHERE s.code = 'R1' AND s.scope_kind = 'service'
        AND s.scope IN
        (
            SELECT u.subject FROM core.usage AS u
            INNER JOIN demo.cast AS c ON toUnixTimestamp64Milli(u.event_time) = c.at AND u.output_tokens = c.output
            WHERE c.part = 'runaway'
        )
    GROUP BY signal_id
)
SELECT 'signals' AS what, toString(count()) AS got FROM said HAVING count() != 1
UNION ALL
SELECT 'status', status FROM said WHERE status != 'resolved'
FORMAT TSV
