// Package cluster holds the nouns every other room speaks of: host, unit,
// placement, status, view, snapshot. It is pure: values and the arithmetic on
// them, without I/O, goroutines, clocks or randomness. Time comes in as "now".
//
// Who writes what (law 2): the user writes HostSpec and UnitSpec, the leader
// writes Placement, a host's agent writes HostInfo, Alive and Status.
package cluster
