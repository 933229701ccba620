package daemon

import "testing"

// What was given back must come back when it is used.
func TestShedLeavesTheProcessWhole(t *testing.T) {
	for range 3 {
		if err := shed(); err != nil {
			t.Fatalf("shed() = %v", err)
		}
	}
}
