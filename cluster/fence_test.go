package cluster

import (
	"testing"
	"time"
)

// TestLeaderTTL: a cluster with long leases must not lose its leader to a short one, nor one with
// short leases wait for its leader longer than for its hosts.
func TestLeaderTTL(t *testing.T) {
	for ttl, want := range map[time.Duration]time.Duration{
		10 * time.Second: 5 * time.Second,
		30 * time.Second: 15 * time.Second,
		3 * time.Second:  2 * time.Second,
	} {
		if got := (Timing{TTL: ttl}).LeaderTTL(); got != want {
			t.Errorf("LeaderTTL() with a TTL of %s = %s, want %s", ttl, got, want)
		}
	}
}
