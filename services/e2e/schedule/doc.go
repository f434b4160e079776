// Package schedule tests the whole pipeline under faults that a seed draws.
//
// A schedule is a small company's day, told to real collectors, folded by real
// processors over a broker in this process, and stored by real sinks in a real
// ClickHouse, while requests fail, connections break, processes are killed,
// stopped, replaced, and inserts vanish, land unseen or land late. In the end
//
//   - every record is accounted for: accepted = duplicate + held + stored +
//     merged + dead, per source and hour, each number as the log has it;
//   - what counts equals the truth that was added up from the input, to the unit;
//   - no event is stored twice, and the rollups equal the raw rows;
//   - what the folds wrote is, byte for byte, what the same log makes of plain
//     calls of the machines, without transactions, restarts or rebalances.
//
// Everything but ClickHouse runs in a bubble of testing/synctest, so that
// session timeouts, pauses and minutes of absence cost nothing; the clock stands
// still while ClickHouse works. Faults strike at counted requests, not at
// moments, so a seed draws the same schedule each time. What the goroutines make
// of it is up to their scheduler: a seed that fails is worth repeating a few
// times.
//
//	go test ./services/e2e/schedule                   # 300 seeds, 20 with -short
//	go test ./services/e2e/schedule -seeds 1000
//	go test ./services/e2e/schedule -seed 42 -v       # one seed, and what it drew
package schedule
