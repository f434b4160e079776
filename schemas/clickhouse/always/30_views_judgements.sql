-- Views of what the tenant fold concludes: the highest revision of each row, by
-- argMax over a tuple, because argMax alone passes over NULL.

-- A window of a team is shown if one of the weeks it touches may be shown and
-- none that is known may not: a week without people has no row and hides nothing.
-- An efficiency score repeats the rolling figures of its window and replaces them;
-- a window that none was given for shows the figures alone.
CREATE OR REPLACE VIEW goodhart.efficiency {{onCluster}}
(
    tenant LowCardinality(String) COMMENT 'Tenant',
    as_of Date COMMENT 'UTC day at whose start the window ends',
    window LowCardinality(String) COMMENT 'Length of the window: 7d, 28d',
    scope_kind LowCardinality(String) COMMENT 'What is judged: tenant, team, model, tool',
    scope LowCardinality(String) COMMENT 'Which of them; the tenant itself for scope_kind tenant',
    team LowCardinality(Nullable(String)) COMMENT 'Team that the scope resolves to; NULL for other kinds',
    cost_usd Nullable(Decimal(18, 9)) COMMENT 'Known cost in the window, USD. Windows overlap: not additive over as_of',
    requests Int64 COMMENT 'Model requests in the window. Not additive over as_of',
    outcomes Nullable(Int64) COMMENT 'Outcomes credited in the window, provisional and final, less what was taken back; NULL for models and tools. Not additive over as_of',
    outcomes_provisional Nullable(Int64) COMMENT 'Net change of provisional credit in the window',
    outcomes_final Nullable(Int64) COMMENT 'Net change of final credit in the window',
    outcomes_reverted Nullable(Int64) COMMENT 'Outcomes reverted in the window',
    outcomes_expected Nullable(Float64) COMMENT 'Outcomes expected of peers at the same spend, in outcomes of mean worth: compare with outcomes_credited; NULL where they cannot be compared. Not additive over as_of',
    score Nullable(Float64) COMMENT 'Efficiency index: 100 is what peers achieve at the same spend; NULL with insufficient data. Not additive',
    score_lo Nullable(Float64) COMMENT 'Lower end of the 90 % interval of score',
    score_hi Nullable(Float64) COMMENT 'Upper end of the 90 % interval of score',
    n Int64 COMMENT 'Sample size: usage records in the window',
    cost_per_outcome_usd Nullable(Decimal(18, 9)) COMMENT 'Cost per outcome, USD; NULL without outcomes. Not additive',
    outcomes_per_million_tokens Nullable(Float64) COMMENT 'Outcomes per million tokens; NULL without tokens. Not additive',
    cache_read_share Nullable(Float64) COMMENT 'Share of input tokens read from a cache, 0 to 1; NULL where unknown. Not additive',
    error_share Nullable(Float64) COMMENT 'Share of requests that failed, 0 to 1; NULL without requests. Not additive',
    coverage Nullable(Float64) COMMENT 'Share of outcomes linked to usage, 0 to 1; NULL until links are known',
    unpriced_share Nullable(Float64) COMMENT 'Share of usage records without a price, 0 to 1; NULL without records',
    unattributed_share Nullable(Float64) COMMENT 'Share of cost without a team, 0 to 1; NULL where unknown',
    status LowCardinality(String) COMMENT 'provisional, final, or insufficient data: then there is no score',
    rev UInt32 COMMENT 'Revision of the window; the newest is shown',
    formula LowCardinality(String) COMMENT 'Version of the formulae',
    config_version UInt64 COMMENT 'Version of the configuration in force; 0 for none',
    outcomes_credited Nullable(Float64) COMMENT 'Outcomes credited in the window, in outcomes of mean worth: half at the merge, half when they have survived. Not additive over as_of',
    unit_cost_usd Nullable(Decimal(18, 9)) COMMENT 'Cost of an outcome of mean worth at constant price, once it has settled, USD; NULL without a score. Not additive',
    unit_cost_lo_usd Nullable(Decimal(18, 9)) COMMENT 'Lower end of the 90 % interval of unit_cost_usd',
    unit_cost_hi_usd Nullable(Decimal(18, 9)) COMMENT 'Upper end of the 90 % interval of unit_cost_usd',
    peers_above Nullable(Int64) COMMENT 'How many others of the kind are more efficient with a probability of 0.95 or more; from the rest it cannot be told. Not additive',
    peers_below Nullable(Int64) COMMENT 'How many others of the kind are less efficient with a probability of 0.95 or more. Not additive',
    reason LowCardinality(String) COMMENT 'Why there is no score: group_size, outcomes, history, people, unpriced, peers, expected; empty if there is one, or none was computed'
)
{{definer}} AS
SELECT
    s.tenant AS tenant,
    toDate(s.window_end, 'UTC') AS as_of,
    s.window AS window,
    s.scope_kind AS scope_kind,
    s.scope AS scope,
    CAST(if(s.scope_kind = 'team', nullIf(s.scope, ''), NULL) AS LowCardinality(Nullable(String))) AS team,
    {{usd "tupleElement(s.newest, 1)"}} AS cost_usd,
    tupleElement(s.newest, 2) AS requests,
    tupleElement(s.newest, 3) + tupleElement(s.newest, 4) AS outcomes,
    tupleElement(s.newest, 3) AS outcomes_provisional,
    tupleElement(s.newest, 4) AS outcomes_final,
    tupleElement(s.newest, 5) AS outcomes_reverted,
    tupleElement(s.newest, 15) AS outcomes_expected,
    tupleElement(s.newest, 16) AS score,
    tupleElement(s.newest, 17) AS score_lo,
    tupleElement(s.newest, 18) AS score_hi,
    tupleElement(s.newest, 6) AS n,
    {{usd "tupleElement(s.newest, 7)"}} AS cost_per_outcome_usd,
    tupleElement(s.newest, 8) AS outcomes_per_million_tokens,
    tupleElement(s.newest, 9) AS cache_read_share,
    tupleElement(s.newest, 10) AS error_share,
    tupleElement(s.newest, 19) AS coverage,
    if(tupleElement(s.newest, 6) = 0, NULL, tupleElement(s.newest, 11) / tupleElement(s.newest, 6)) AS unpriced_share,
    tupleElement(s.newest, 20) AS unattributed_share,
    tupleElement(s.newest, 21) AS status,
    tupleElement(s.newest, 22) AS rev,
    tupleElement(s.newest, 12) AS formula,
    tupleElement(s.newest, 13) AS config_version,
    tupleElement(s.newest, 14) AS outcomes_credited,
    {{usd "tupleElement(s.newest, 23)"}} AS unit_cost_usd,
    {{usd "tupleElement(s.newest, 24)"}} AS unit_cost_lo_usd,
    {{usd "tupleElement(s.newest, 25)"}} AS unit_cost_hi_usd,
    tupleElement(s.newest, 26) AS peers_above,
    tupleElement(s.newest, 27) AS peers_below,
    tupleElement(s.newest, 28) AS reason
FROM
(
    SELECT
        r.tenant AS tenant,
        r.window AS window,
        r.scope_kind AS scope_kind,
        r.scope AS scope,
        r.window_end AS window_end,
        argMax(r.figures, (r.scored, r.rev)) AS newest
    FROM
    (
        SELECT
            c.tenant AS tenant, c.window AS window, c.scope_kind AS scope_kind, c.scope AS scope, c.window_end AS window_end,
            0 AS scored, c.rev AS rev,
            (c.cost_nanos, c.requests, c.outcomes_provisional, c.outcomes_final, c.outcomes_reverted, c.records,
                c.cost_per_outcome_nanos, c.outcomes_per_million_tokens, c.cache_read_share, c.error_share, c.unpriced_requests,
                c.formula, c.config_version,
                CAST(NULL AS Nullable(Float64)), CAST(NULL AS Nullable(Float64)), CAST(NULL AS Nullable(Float64)),
                CAST(NULL AS Nullable(Float64)), CAST(NULL AS Nullable(Float64)), CAST(NULL AS Nullable(Float64)),
                CAST(NULL AS Nullable(Float64)), CAST('insufficient data' AS LowCardinality(String)), c.rev,
                CAST(NULL AS Nullable(Int64)), CAST(NULL AS Nullable(Int64)), CAST(NULL AS Nullable(Int64)),
                CAST(NULL AS Nullable(Int64)), CAST(NULL AS Nullable(Int64)), CAST('' AS LowCardinality(String))) AS figures
        FROM {{from "scores"}} AS c
        WHERE c.window IN ('7d', '28d')
        UNION ALL
        SELECT
            e.tenant AS tenant, e.window AS window, e.scope_kind AS scope_kind, e.scope AS scope, e.window_end AS window_end,
            1 AS scored, e.rev AS rev,
            (e.cost_nanos, e.requests, e.outcomes_provisional, e.outcomes_final, e.outcomes_reverted, e.records,
                e.cost_per_outcome_nanos, e.outcomes_per_million_tokens, e.cache_read_share, e.error_share, e.unpriced_requests,
                e.formula, e.config_version,
                e.outcomes_credited, e.outcomes_expected, e.score,
                e.score_lo, e.score_hi, e.coverage,
                e.unattributed_share, e.status, e.rev,
                e.unit_cost_nanos, e.unit_cost_lo_nanos, e.unit_cost_hi_nanos,
                e.peers_above, e.peers_below, e.reason) AS figures
        FROM {{from "efficiency"}} AS e
    ) AS r
    GROUP BY tenant, window, scope_kind, scope, window_end
) AS s
WHERE s.scope_kind != 'team' OR {{publishedWindow}}
COMMENT 'Is it worth it, and how sure are we: efficiency with its interval, beside the rolling figures, per day, window and scope';

-- A signal about a team is shown, and so is what each of its revisions rests on,
-- if the team could be shown in the newest week that was settled at the time: that
-- is the week a weekly signal speaks of. A service is nobody, whatever its team.
CREATE OR REPLACE VIEW goodhart.signals {{onCluster}}
(
    tenant LowCardinality(String) COMMENT 'Tenant',
    signal_id String COMMENT 'Stable id of the signal',
    code LowCardinality(String) COMMENT 'Code of the catalogue, e.g. S2',
    title String COMMENT 'What the code means',
    scope_kind LowCardinality(String) COMMENT 'What it is about: metric, tenant, team, model, tool, service; never a person',
    scope LowCardinality(String) COMMENT 'Which of them',
    team LowCardinality(Nullable(String)) COMMENT 'Team that the scope resolves to; NULL for none',
    label LowCardinality(String) COMMENT 'tooling, runaway or possible gaming',
    severity LowCardinality(String) COMMENT 'info, warning, critical',
    status LowCardinality(String) COMMENT 'opened, updated, resolved, disputed',
    opened_at DateTime('UTC') COMMENT 'When it opened',
    updated_at DateTime('UTC') COMMENT 'When it last changed',
    resolved_at Nullable(DateTime('UTC')) COMMENT 'When it was resolved; NULL while open',
    question String COMMENT 'The question it asks: a signal is no verdict',
    cost_at_stake_usd Nullable(Decimal(18, 9)) COMMENT 'Cost at stake, USD; NULL where unknown. Signals overlap: not additive',
    rev UInt32 COMMENT 'Revision of the signal; the newest is shown',
    formula LowCardinality(String) COMMENT 'Version of the formulae',
    config_version UInt64 COMMENT 'Version of the configuration in force; 0 for none'
)
{{definer}} AS
SELECT
    s.tenant AS tenant,
    s.signal_id AS signal_id,
    tupleElement(s.newest, 1) AS code,
    tupleElement(s.newest, 2) AS title,
    tupleElement(s.newest, 3) AS scope_kind,
    tupleElement(s.newest, 4) AS scope,
    CAST(nullIf(tupleElement(s.newest, 5), '') AS LowCardinality(Nullable(String))) AS team,
    tupleElement(s.newest, 6) AS label,
    tupleElement(s.newest, 7) AS severity,
    tupleElement(s.newest, 8) AS status,
    toDateTime(tupleElement(s.newest, 9), 'UTC') AS opened_at,
    toDateTime(tupleElement(s.newest, 10), 'UTC') AS updated_at,
    toDateTime(tupleElement(s.newest, 11), 'UTC') AS resolved_at,
    tupleElement(s.newest, 12) AS question,
    {{usd "tupleElement(s.newest, 13)"}} AS cost_at_stake_usd,
    s.newest_rev AS rev,
    tupleElement(s.newest, 14) AS formula,
    tupleElement(s.newest, 15) AS config_version
FROM
(
    SELECT
        r.tenant AS tenant,
        r.signal_id AS signal_id,
        max(r.rev) AS newest_rev,
        argMax((r.code, r.title, r.scope_kind, r.scope, r.team, r.label, r.severity, r.status, r.opened_at, r.updated_at,
            r.resolved_at, r.question, r.cost_at_stake_nanos, r.formula, r.config_version), r.rev) AS newest
    FROM {{from "signals"}} AS r
    GROUP BY tenant, signal_id
) AS s
WHERE tupleElement(s.newest, 3) != 'team' OR {{published "s.tenant" "tupleElement(s.newest, 5)" (judged "tupleElement(s.newest, 9)")}}
COMMENT 'What looks gamed, broken or running away';

CREATE OR REPLACE VIEW goodhart.signal_evidence {{onCluster}}
(
    tenant LowCardinality(String) COMMENT 'Tenant',
    signal_id String COMMENT 'Signal it belongs to',
    rev UInt32 COMMENT 'Revision of the signal it belongs to',
    fact LowCardinality(String) COMMENT 'Name of the fact within the revision',
    team LowCardinality(Nullable(String)) COMMENT 'Team that the signal resolves to; NULL for none',
    statistic LowCardinality(String) COMMENT 'What was measured',
    value Nullable(Float64) COMMENT 'Measured value, in unit',
    unit LowCardinality(String) COMMENT 'Unit of value and threshold',
    threshold Nullable(Float64) COMMENT 'Threshold it was compared with, in unit; NULL for context',
    n Int64 COMMENT 'Sample size',
    window LowCardinality(String) COMMENT 'Window it was measured over',
    look_alike_checked Array(String) COMMENT 'Innocent explanations that were checked, each with its finding'
)
{{definer}} AS
SELECT
    e.tenant AS tenant,
    e.signal_id AS signal_id,
    e.rev AS rev,
    e.fact AS fact,
    CAST(nullIf(any(e.team), '') AS LowCardinality(Nullable(String))) AS team,
    any(e.statistic) AS statistic,
    tupleElement(any(tuple(e.value)), 1) AS value,
    any(e.unit) AS unit,
    tupleElement(any(tuple(e.threshold)), 1) AS threshold,
    any(e.n) AS n,
    any(e.window) AS window,
    any(e.look_alike_checked) AS look_alike_checked
FROM {{from "signal_evidence"}} AS e
WHERE e.team = '' OR {{published "e.tenant" "e.team" (judged "e.w")}}
    OR (e.tenant, e.signal_id) {{in}} (SELECT r.tenant, r.signal_id FROM {{from "signals"}} AS r WHERE r.scope_kind != 'team' AND r.team != '')
GROUP BY tenant, signal_id, rev, fact
COMMENT 'Why we say so: the facts that each revision of a signal rests on';

CREATE OR REPLACE VIEW goodhart.kpi_health {{onCluster}}
(
    tenant LowCardinality(String) COMMENT 'Tenant',
    week Date COMMENT 'Monday of the ISO week, UTC',
    target LowCardinality(String) COMMENT 'Usage target that people are managed by',
    scope_kind LowCardinality(String) COMMENT 'tenant, team',
    scope LowCardinality(String) COMMENT 'Which of them; the tenant itself for scope_kind tenant',
    team LowCardinality(Nullable(String)) COMMENT 'Team that the scope resolves to; NULL for the tenant',
    elasticity Nullable(Float64) COMMENT 'Within-person elasticity of outcomes on tokens; of a target on the score within-team, of what survived on the score; NULL with insufficient data. Not additive',
    elasticity_lo Nullable(Float64) COMMENT 'Lower end of its 90 % interval',
    elasticity_hi Nullable(Float64) COMMENT 'Upper end of its 90 % interval',
    bunching Nullable(Float64) COMMENT 'Excess mass just above the target, relative to what was to be expected there',
    concentration Nullable(Float64) COMMENT 'Gini coefficient of tokens over persons, of a target on the score of scores over teams, 0 to 1',
    signalled_share Nullable(Float64) COMMENT 'Share of tokens in sessions with a signal, 0 to 1; NULL for teams, and where it would tell of fewer than five people',
    excess_share Nullable(Float64) COMMENT 'Share of tokens since the announcement that bought nothing, 0 to 1; an estimate under stated assumptions',
    excess_share_lo Nullable(Float64) COMMENT 'Lower end of its 90 % interval',
    excess_share_hi Nullable(Float64) COMMENT 'Upper end of its 90 % interval',
    excess_cost_usd Nullable(Decimal(18, 9)) COMMENT 'Cost of the excess, USD',
    placebo_excess Nullable(Float64) COMMENT 'The same estimate between two periods before the announcement: should be near 0',
    verdict LowCardinality(String) COMMENT 'healthy, watch, losing meaning, insufficient data',
    reasons Array(String) COMMENT 'What the verdict rests on',
    rev UInt32 COMMENT 'Revision of the week; the newest is shown',
    formula LowCardinality(String) COMMENT 'Version of the formulae',
    config_version UInt64 COMMENT 'Version of the configuration in force; 0 for none',
    compared_from Nullable(Date) COMMENT 'First day of the weeks since the announcement that are compared with those before it; NULL if there are too few',
    compared_to Nullable(Date) COMMENT 'Day after the last of those weeks'
)
{{definer}} AS
SELECT
    k.tenant AS tenant,
    k.week_start AS week,
    k.target AS target,
    k.scope_kind AS scope_kind,
    k.scope AS scope,
    CAST(if(k.scope_kind = 'team', nullIf(k.scope, ''), NULL) AS LowCardinality(Nullable(String))) AS team,
    tupleElement(k.newest, 1) AS elasticity,
    tupleElement(k.newest, 2) AS elasticity_lo,
    tupleElement(k.newest, 3) AS elasticity_hi,
    tupleElement(k.newest, 4) AS bunching,
    tupleElement(k.newest, 5) AS concentration,
    tupleElement(k.newest, 6) AS signalled_share,
    tupleElement(k.newest, 7) AS excess_share,
    tupleElement(k.newest, 8) AS excess_share_lo,
    tupleElement(k.newest, 9) AS excess_share_hi,
    {{usd "tupleElement(k.newest, 10)"}} AS excess_cost_usd,
    tupleElement(k.newest, 11) AS placebo_excess,
    tupleElement(k.newest, 12) AS verdict,
    tupleElement(k.newest, 13) AS reasons,
    k.newest_rev AS rev,
    tupleElement(k.newest, 14) AS formula,
    tupleElement(k.newest, 15) AS config_version,
    toDate(tupleElement(k.newest, 16), 'UTC') AS compared_from,
    toDate(tupleElement(k.newest, 17), 'UTC') AS compared_to
FROM
(
    SELECT
        r.tenant AS tenant,
        r.target AS target,
        r.scope_kind AS scope_kind,
        r.scope AS scope,
        r.week_start AS week_start,
        max(r.rev) AS newest_rev,
        argMax((r.elasticity, r.elasticity_lo, r.elasticity_hi, r.bunching, r.concentration, r.signalled_share, r.excess_share,
            r.excess_share_lo, r.excess_share_hi, r.excess_cost_nanos, r.placebo_excess, r.verdict, r.reasons, r.formula,
            r.config_version, r.compared_from, r.compared_to), r.rev) AS newest
    FROM {{from "kpi_health"}} AS r
    GROUP BY tenant, target, scope_kind, scope, week_start
) AS k
WHERE k.scope_kind != 'team' OR {{published "k.tenant" "k.scope" "k.week_start"}}
COMMENT 'Does the number still mean anything, and what does chasing it cost';

CREATE OR REPLACE VIEW goodhart.kpi_checks {{onCluster}}
(
    tenant LowCardinality(String) COMMENT 'Tenant',
    week Date COMMENT 'Monday of the ISO week, UTC',
    target LowCardinality(String) COMMENT 'Usage target that people are managed by',
    scope_kind LowCardinality(String) COMMENT 'tenant, team',
    scope LowCardinality(String) COMMENT 'Which of them; the tenant itself for scope_kind tenant',
    team LowCardinality(Nullable(String)) COMMENT 'Team that the scope resolves to; NULL for the tenant',
    check_name LowCardinality(String) COMMENT 'Name of the check, e.g. elasticity; docs/cards.md says what each asks',
    place UInt16 COMMENT 'Place on the card, from 0: order by it',
    known UInt8 COMMENT '1: there is an estimate; 0: reason says what is lacking',
    value Nullable(Float64) COMMENT 'The estimate, in the unit of the check. Not additive',
    lo Nullable(Float64) COMMENT 'Lower end of its 90 % interval',
    hi Nullable(Float64) COMMENT 'Upper end of its 90 % interval',
    n Int64 COMMENT 'Size of the sample it rests on, or would. Not additive',
    placebo Nullable(Float64) COMMENT 'The same estimate where the target can have had no effect: what it shows without any gaming',
    z Nullable(Float64) COMMENT 'Distance in standard errors from what is expected without gaming',
    alarm UInt8 COMMENT '1: it counts against the target',
    contribution LowCardinality(String) COMMENT 'What it says for the verdict: decoupling and adversarial together make losing meaning, each alone or watch make watch; none',
    reason LowCardinality(String) COMMENT 'Why the estimate is NULL or cannot raise an alarm, or which series raised it; empty otherwise',
    verdict LowCardinality(String) COMMENT 'Verdict of the card: healthy, watch, losing meaning, insufficient data',
    rev UInt32 COMMENT 'Revision of the card; the newest is shown',
    formula LowCardinality(String) COMMENT 'Version of the arithmetic of the check'
)
{{definer}} AS
SELECT
    k.tenant AS tenant,
    k.week_start AS week,
    k.target AS target,
    k.scope_kind AS scope_kind,
    k.scope AS scope,
    CAST(if(k.scope_kind = 'team', nullIf(k.scope, ''), NULL) AS LowCardinality(Nullable(String))) AS team,
    k.check_name AS check_name,
    tupleElement(k.newest, 1) AS place,
    isNotNull(tupleElement(k.newest, 2)) AS known,
    tupleElement(k.newest, 2) AS value,
    tupleElement(k.newest, 3) AS lo,
    tupleElement(k.newest, 4) AS hi,
    tupleElement(k.newest, 5) AS n,
    tupleElement(k.newest, 6) AS placebo,
    tupleElement(k.newest, 7) AS z,
    tupleElement(k.newest, 8) AS alarm,
    tupleElement(k.newest, 9) AS contribution,
    tupleElement(k.newest, 10) AS reason,
    tupleElement(k.newest, 11) AS verdict,
    k.newest_rev AS rev,
    tupleElement(k.newest, 12) AS formula
FROM
(
    SELECT
        r.tenant AS tenant,
        r.target AS target,
        r.scope_kind AS scope_kind,
        r.scope AS scope,
        r.week_start AS week_start,
        r.check_name AS check_name,
        max(r.rev) AS newest_rev,
        argMax((r.place, r.value, r.lo, r.hi, r.n, r.placebo, r.z, r.alarm, r.contribution, r.reason, r.verdict, r.formula), r.rev) AS newest
    FROM {{from "kpi_checks"}} AS r
    GROUP BY tenant, target, scope_kind, scope, week_start, check_name
) AS k
WHERE k.scope_kind != 'team' OR {{published "k.tenant" "k.scope" "k.week_start"}}
COMMENT 'Why the card says so: each check of each health card';

CREATE OR REPLACE VIEW goodhart.signal_coverage {{onCluster}}
(
    tenant LowCardinality(String) COMMENT 'Tenant',
    week Date COMMENT 'Monday of the ISO week, UTC',
    code LowCardinality(String) COMMENT 'Code of the signal, e.g. S2; docs/signals.md says what each needs',
    title String COMMENT 'What the code means',
    subjects Int64 COMMENT 'Persons, keys and services of the week that the signal is meant for; of S13 targets for weekly use. Not additive over week',
    known Int64 COMMENT 'Part of subjects of whom some record says what it needs',
    measured Int64 COMMENT 'Part of known with a large enough sample and a known habit: only they can be asked about',
    records Int64 COMMENT 'Records of the subjects that it would look at',
    known_records Int64 COMMENT 'Part of records that say what it needs',
    known_share Nullable(Float64) COMMENT 'known of subjects, 0 to 1; NULL without subjects',
    measured_share Nullable(Float64) COMMENT 'measured of subjects, 0 to 1; NULL without subjects',
    record_share Nullable(Float64) COMMENT 'known_records of records, 0 to 1; NULL without records',
    rev UInt32 COMMENT 'Revision; the newest is shown',
    formula LowCardinality(String) COMMENT 'Version of the arithmetic of the signal',
    config_version UInt64 COMMENT 'Version of the configuration in force; 0 for none'
)
{{definer}} AS
SELECT
    c.tenant AS tenant,
    c.week_start AS week,
    c.code AS code,
    tupleElement(c.newest, 1) AS title,
    tupleElement(c.newest, 2) AS subjects,
    tupleElement(c.newest, 3) AS known,
    tupleElement(c.newest, 4) AS measured,
    tupleElement(c.newest, 5) AS records,
    tupleElement(c.newest, 6) AS known_records,
    if(tupleElement(c.newest, 2) = 0, NULL, tupleElement(c.newest, 3) / tupleElement(c.newest, 2)) AS known_share,
    if(tupleElement(c.newest, 2) = 0, NULL, tupleElement(c.newest, 4) / tupleElement(c.newest, 2)) AS measured_share,
    if(tupleElement(c.newest, 5) = 0, NULL, tupleElement(c.newest, 6) / tupleElement(c.newest, 5)) AS record_share,
    c.newest_rev AS rev,
    tupleElement(c.newest, 7) AS formula,
    tupleElement(c.newest, 8) AS config_version
FROM
(
    SELECT
        r.tenant AS tenant,
        r.week_start AS week_start,
        r.code AS code,
        max(r.rev) AS newest_rev,
        argMax((r.title, r.subjects, r.known, r.measured, r.records, r.known_records, r.formula, r.config_version), r.rev) AS newest
    FROM {{from "signal_coverage"}} AS r
    GROUP BY tenant, week_start, code
) AS c
COMMENT 'What each signal could look at: silence of one that sees nothing means nothing';
