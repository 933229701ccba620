// Package leader is the loop of the one daemon that decides: campaign, and for as
// long as the term is sure, plan on a mirror of the cluster and write the orders.
//
// The wiring gives it a Store, a Mirror that somebody else runs, and calls Run; every
// candidate runs one. A candidate watches all the time, so that it believes an
// absence that it saw begin. Latest says what the present leader waits for; only
// the leading process knows, others ask it over the API.
//
// See DESIGN.md for the protocol and its invariants.
package leader
