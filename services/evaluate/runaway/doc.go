// Package runaway measures how soon the rate guards, and the series of teams, tools
// and tenants, tell of an agent that runs away, and how often they tell of what does
// not: simulated companies go event by event through the folds.
//
// A delay is in event time: from the first request of the runaway to the newest
// event that was known when the signal went out. What is added on the way there,
// transactions and the merge of partitions, is seconds.
package runaway
