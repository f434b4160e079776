-- Questions to persons against their parts. should_be: those whose tactic should
-- be noticed; busy: those of them with two weeks of 50 requests since, below which
-- most signals say nothing; found: those of them who were asked so after they began; also_asked:
-- persons who game and were asked something else; wrongly: questions to people who
-- do nothing wrong, or not yet.
SELECT
    p.part AS part,
    p.kind AS kind,
    uniqExact(p.subject) AS persons,
    uniqExactIf(p.subject, p.expected != '') AS should_be,
    uniqExactIf(p.subject, p.expected != '' AND length(arrayFilter(w -> w >= p.since, p.busy)) >= 2) AS busy,
    uniqExactIf(p.subject, a.signal_id != '' AND has(splitByChar(',', p.expected), a.code) AND a.opened > p.since) AS found,
    uniqExactIf(p.subject, a.signal_id != '' AND p.kind = 'gamer' AND NOT has(splitByChar(',', p.expected), a.code) AND a.opened > p.since) AS also_asked,
    uniqExactIf(a.signal_id, a.signal_id != '' AND (p.kind = 'honest' OR a.opened <= p.since)) AS wrongly,
    arraySort(groupUniqArrayIf(a.code, a.signal_id != '')) AS codes
FROM demo.persons AS p
LEFT JOIN demo.asked AS a ON a.subject = p.subject
GROUP BY part, kind
ORDER BY kind, part
