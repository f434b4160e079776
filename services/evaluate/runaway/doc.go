// Package runaway measures how soon the rate guards tell of an agent that runs
// away, and how often they tell of people who do not: simulated companies go event
// by event through the ledger fold, the subject fold and the judgement of guards in
// the tenant fold, without Kafka between them.
//
// A delay is in event time: from the first request of the runaway to the newest
// event that was known when the signal went out. What is added on the way there,
// transactions and the merge of partitions, is seconds.
package runaway
