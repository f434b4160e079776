-- The services that have a part, by pseudonym.
CREATE VIEW demo.services AS
SELECT DISTINCT u.subject AS subject, c.part AS part, c.expected AS code, c.since AS since
FROM demo.cast AS c
INNER JOIN core.usage AS u ON toUnixTimestamp64Milli(u.event_time) = c.at AND u.output_tokens = c.output AND ifNull(u.cache_read_tokens, 0) = c.read
WHERE c.kind = 'service' AND u.observational = 0
