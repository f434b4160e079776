-- Every question that was ever put to a person, by pseudonym.
CREATE VIEW demo.asked AS
SELECT subject, signal_id, argMax(code, rev) AS code, toDate(min(opened_at)) AS opened
FROM core.self
GROUP BY subject, signal_id
