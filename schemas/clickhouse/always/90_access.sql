-- Access for readers, on servers only: the embedded engine has one trusted user.
-- Views run as their definer, so the role has rights on the views alone, never on
-- what they read: nobody gets round the small groups by asking core. Policies are
-- on the views, and the server passes them down to the primary key. The role may
-- read core.readers because a policy's subquery runs with the reader's rights;
-- its own policy leaves a reader their own rows.
{{if server}}
CREATE ROLE IF NOT EXISTS goodhart_reader {{onCluster}} SETTINGS readonly = 2, max_execution_time = 60;

GRANT {{onCluster}} SELECT ON goodhart.* TO goodhart_reader;

GRANT {{onCluster}} SELECT ON core.readers TO goodhart_reader;

CREATE ROW POLICY OR REPLACE goodhart_own {{onCluster}} ON core.readers USING user = currentUser() TO goodhart_reader;
{{range $v := list "usage_hourly" "usage_daily" "outcomes_daily" "efficiency" "signals" "signal_evidence" "kpi_health" "kpi_checks" "teams"}}
CREATE ROW POLICY OR REPLACE goodhart_team {{onCluster}} ON goodhart.{{$v}}
USING tenant {{in}} (SELECT r.tenant FROM core.readers AS r WHERE r.user = currentUser() AND r.team = '')
    OR (tenant, ifNull(team, '')) {{in}} (SELECT r.tenant, r.team FROM core.readers AS r WHERE r.user = currentUser() AND r.team != '')
TO goodhart_reader;
{{end}}{{range $v := list "signal_coverage" "data_quality" "freshness" "prices" "models"}}
CREATE ROW POLICY OR REPLACE goodhart_tenant {{onCluster}} ON goodhart.{{$v}}
USING tenant = '*' OR tenant {{in}} (SELECT r.tenant FROM core.readers AS r WHERE r.user = currentUser())
TO goodhart_reader;
{{end}}{{end}}
