// Package reboots is the door to what a host's reboots depend on outside of flotilla: who says that the host needs one,
// what else may reboot it, and the checks that must be well before and after.
//
// The daemon makes a Needs and a Checks and hands them to the agent.
package reboots
