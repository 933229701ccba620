// Package sim runs whole clusters in one process: real agents on fake systemds, real
// leader loops with real mirrors, and one store in memory that does to its clients
// everything a real one may do. In a testing/synctest bubble hours pass in milliseconds.
//
// A seed draws a cluster, what its users do, and faults: hosts without power, cut off,
// deaf or frozen; daemons killed at any door; leaders whose writes arrive when another
// leads; a store that is away, compacted, read-only, wiped; a second host with the same
// id. A Judge hears every commit and every event of every systemd at the moment it
// happens, and knows what is true whatever is reported. It notes each broken promise.
//
// The schedule of a seed is drawn before the run and depends on nothing else. What the
// store does to each client depends on the seed, the client's name and the order of its
// requests. The order in which goroutines run at one instant is the Go scheduler's, and
// the agents draw their own jitter: so a seed repeats its faults exactly, and
// the run between them nearly always. A report says what to run again.
//
// Bench functions play cases of scale in real time, on an exact store.
package sim
