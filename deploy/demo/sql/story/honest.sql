-- False alarms: questions to people in weeks in which they did nothing wrong.
SELECT
    sum(length(arrayFilter(w -> p.kind = 'honest' OR w < p.since, p.weeks))) AS honest_person_weeks,
    (
        SELECT count() FROM demo.asked AS a INNER JOIN demo.persons AS q ON q.subject = a.subject
        WHERE q.kind = 'honest' OR a.opened <= q.since
    ) AS asked_wrongly,
    round(1000 * asked_wrongly / honest_person_weeks, 2) AS per_1000_person_weeks
FROM demo.persons AS p
