package api

import (
	"testing"

	"flotilla/cluster"
)

// TestZincatiID: the vectors are of systemd-id128 machine-id -a de35106b6ec24688b63afddaa156679b.
func TestZincatiID(t *testing.T) {
	for machine, want := range map[cluster.HostID]string{
		"1c09ca98649c4c7abc779cd04c96812e": "978a225b3d7b40e9acd7ce9b62f68444",
		"dfd7882acda64c34aca76193c46f5d4e": "35ba2101ae3f4d45b96e9c51f461bbff",
		"1c09ca98649c4c7abc779cd04c96812":  "",
		"":                                 "",
	} {
		if got := zincatiID(machine); got != want {
			t.Errorf("zincatiID(%q) = %q, want %q", machine, got, want)
		}
	}
}
