// Package plan decides which host runs which unit. It is pure: Plan takes a
// complete snapshot of the cluster and the time, and returns decisions with their
// reasons; equal arguments give equal decisions. explain, simulations and dry runs
// call the same functions as the leader.
//
// The caller applies each decision's Orders as one transaction, waits until its
// snapshot holds the result, and plans again, until nothing is left to decide or
// Result.Next comes. A decision that the store refuses as stale is simply not made;
// the next plan sees why.
//
// One plan has five passes over the units that need attention, each in the order
// of names: first what ends or changes in place (tombstones, new content, carried
// out tombstones), then failover, then new placements, then what leaves a living
// host for another, then changes that go through a family one at a time. Before the
// last one, a pass over the hosts sees to their reboots. A ledger
// carries what the earlier decisions of the plan took or freed.
package plan
