-- The two databases: core is private to the services, goodhart is the public
-- interface (views only).

CREATE DATABASE IF NOT EXISTS core {{onCluster}} COMMENT 'Private to the services of goodhart: raw facts, rollups, ledgers. Query the database goodhart instead.';

CREATE DATABASE IF NOT EXISTS goodhart {{onCluster}} COMMENT 'The public interface: stable views for BI tools and analysts. Times are UTC, money is USD, unknown is NULL.';
