// Package agent is the loop of one host: it obeys the leader's orders for this host,
// reports what systemd says, and keeps the host's sign of life.
//
// The daemon makes an Agent with New, gives it the doors it needs (a systemd, the
// folder of unit files, the journal, the store) and calls Run. Nothing here
// stops a unit without an explicit order: not an empty view, not a missing
// key, not a store that is away, another one or wiped, and not the end of Run.
//
// What is decided stands in converge.go, which is pure; DESIGN.md has the
// protocol, the points at which the process may die, and the invariants.
package agent
