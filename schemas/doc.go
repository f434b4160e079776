// Package schemas holds goodhart's contracts: the Kafka topics and their
// protobuf values, the ClickHouse tables and views, and the JSON Schemas of the
// public topics. It depends on the standard library and the protobuf runtime
// only, so that a producer can import the contract without a Kafka or a
// ClickHouse client. FORMAT.md describes every byte and how it may evolve.
package schemas
