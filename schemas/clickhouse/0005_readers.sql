-- Who may read which tenant and team. The row policies of a server ask it (see
-- always/90_access.sql); the embedded engine has no users and ignores it.

CREATE TABLE IF NOT EXISTS core.readers {{onCluster}}
(
    user String COMMENT 'Name of the ClickHouse user',
    tenant LowCardinality(String) COMMENT 'Tenant whose rows the user may read',
    team LowCardinality(String) COMMENT 'Team whose rows the user may read; empty: all of the tenant',
    granted_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When it was granted'
)
ENGINE = {{engine "MergeTree"}}
ORDER BY (user, tenant, team)
SETTINGS {{settings 1}}
COMMENT 'Rows that each reader may see; administrators insert and delete here';
