-- How long rows are kept. Raw facts count from the insert, so that a backfill of
-- old events is not eaten by the next merge, nor a transition by a timer, which
-- no record's acceptance dates; aggregates hold nobody's row and count from event
-- time. Applied again when a number changes.

ALTER TABLE core.usage {{onCluster}} MODIFY TTL toDateTime(stored_at) + toIntervalDay({{.Retention.Raw}});
ALTER TABLE core.activity {{onCluster}} MODIFY TTL toDateTime(stored_at) + toIntervalDay({{.Retention.Raw}});
ALTER TABLE core.outcomes {{onCluster}} MODIFY TTL toDateTime(stored_at) + toIntervalDay({{.Retention.Raw}});
ALTER TABLE core.tallies {{onCluster}} MODIFY TTL toDateTime(stored_at) + toIntervalDay({{.Retention.Raw}});
ALTER TABLE core.dead {{onCluster}} MODIFY TTL toDateTime(stored_at) + toIntervalDay({{.Retention.Raw}});
ALTER TABLE core.ticks {{onCluster}} MODIFY TTL toDateTime(stored_at) + toIntervalDay({{.Retention.Ticks}});

ALTER TABLE core.scores {{onCluster}} MODIFY TTL
    toDateTime(window_end) + toIntervalDay({{.Retention.ShortWindows}}) DELETE WHERE window IN ('5m', '1h'),
    toDateTime(window_end) + toIntervalDay({{.Retention.Aggregates}}) DELETE WHERE window NOT IN ('5m', '1h');
ALTER TABLE core.efficiency {{onCluster}} MODIFY TTL toDateTime(window_end) + toIntervalDay({{.Retention.Aggregates}});
ALTER TABLE core.group_size {{onCluster}} MODIFY TTL week_start + toIntervalDay({{.Retention.Aggregates}});
ALTER TABLE core.kpi_health {{onCluster}} MODIFY TTL week_start + toIntervalDay({{.Retention.Aggregates}});
ALTER TABLE core.kpi_checks {{onCluster}} MODIFY TTL week_start + toIntervalDay({{.Retention.Aggregates}});
ALTER TABLE core.signal_coverage {{onCluster}} MODIFY TTL week_start + toIntervalDay({{.Retention.Aggregates}});
ALTER TABLE core.signals {{onCluster}} MODIFY TTL toDateTime(updated_at) + toIntervalDay({{.Retention.Signals}});
ALTER TABLE core.signal_evidence {{onCluster}} MODIFY TTL toDateTime(w) + toIntervalDay({{.Retention.Signals}});
ALTER TABLE core.self {{onCluster}} MODIFY TTL toDateTime(updated_at) + toIntervalDay({{.Retention.Signals}});
ALTER TABLE core.self_efficiency {{onCluster}} MODIFY TTL toDateTime(window_end) + toIntervalDay({{.Retention.Signals}});

ALTER TABLE core.usage_minute {{onCluster}} MODIFY TTL minute + toIntervalDay({{.Retention.Minute}});
ALTER TABLE core.usage_hour {{onCluster}} MODIFY TTL hour + toIntervalDay({{.Retention.Aggregates}});
ALTER TABLE core.usage_day {{onCluster}} MODIFY TTL day + toIntervalDay({{.Retention.Aggregates}});
ALTER TABLE core.outcomes_day {{onCluster}} MODIFY TTL day + toIntervalDay({{.Retention.Aggregates}});
ALTER TABLE core.quality_hour {{onCluster}} MODIFY TTL hour + toIntervalDay({{.Retention.Aggregates}});
ALTER TABLE core.ticks_minute {{onCluster}} MODIFY TTL minute + toIntervalDay({{.Retention.Aggregates}});
