package units

import (
	"slices"
	"strings"
)

// Requirements are the placement options of a unit. The lists are sorted and
// free of repetitions; the zero value means that any host will do.
type Requirements struct {
	MachineID string        // full machine id, or its first eight digits
	MachineOf []Name        // units that must all be placed on the same host
	Metadata  []Requirement // all of them must hold
	Conflicts []string      // globs of units that may not be on the same host
	Global    bool          // one copy on every host that fits
	Fence     bool          // at most one running copy, ever
}

// Requirement asks that a host's label Key has one of Values.
type Requirement struct {
	Key    string
	Values []string
}

// Match reports whether a host with these labels satisfies the requirement.
func (r Requirement) Match(labels map[string]string) bool {
	v, ok := labels[r.Key]
	return ok && slices.Contains(r.Values, v)
}

// String returns the requirement for messages: key=value, or key=a or key=b.
func (r Requirement) String() string {
	out := make([]string, len(r.Values))
	for i, v := range r.Values {
		out[i] = r.Key + "=" + v
	}
	return strings.Join(out, " or ")
}

// shortID is the length of the abbreviated machine id that lists show.
const shortID = 8

// MatchMachine reports whether MachineID allows the host with the given full
// machine id.
func (r Requirements) MatchMachine(id string) bool {
	return r.MachineID == "" || NamesMachine(r.MachineID, id)
}

// NamesMachine reports whether text names the host with the given full machine id: it is that id, or
// its first eight digits. It is the one rule for MachineID=.
func NamesMachine(text, id string) bool {
	return text == id || len(text) == shortID && strings.HasPrefix(id, text)
}

// isMachineID reports whether text can name a machine.
func isMachineID(text string) bool {
	return (len(text) == 32 || len(text) == shortID) && strings.Trim(text, "0123456789abcdef") == ""
}

// MatchMetadata reports whether a host with these labels satisfies every
// MachineMetadata option.
func (r Requirements) MatchMetadata(labels map[string]string) bool {
	for _, m := range r.Metadata {
		if !m.Match(labels) {
			return false
		}
	}
	return true
}

// ConflictsWith reports whether unit self, which has these requirements,
// declares a conflict with unit other. A unit never conflicts with itself. The
// relation holds in both directions, so a caller asks both units.
func (r Requirements) ConflictsWith(self, other Name) bool {
	if self == other {
		return false
	}
	for _, glob := range r.Conflicts {
		if ok, err := Match(glob, string(other)); ok && err == nil {
			return true
		}
	}
	return false
}

func compareKeys(a, b Requirement) int { return strings.Compare(a.Key, b.Key) }

// sortedSet returns the distinct values in order; it may return values itself
// when they already are.
func sortedSet[T ~string](values []T) []T {
	for i := 1; i < len(values); i++ {
		if values[i-1] >= values[i] {
			return slices.Compact(slices.Sorted(slices.Values(values)))
		}
	}
	return values
}
