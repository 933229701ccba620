package units

import (
	"slices"
	"strings"
)

// Requirements are the placement options of a unit. The lists are sorted (but Spread, whose order is the
// file's) and free of repetitions; the zero value means that any host will do.
type Requirements struct {
	MachineID string        // full machine id, or its first eight digits
	MachineOf []Name        // units that must all be placed on the same host
	Metadata  []Requirement // all of them must hold
	Prefer    []Requirement // each that holds makes a host better, none is needed
	Conflicts []string      // globs of units that may not be on the same host
	Replaces  []string      // globs of units that leave a host for this one
	Global    bool          // one copy on every host that fits
	Fence     bool          // at most one running copy, ever

	MaxPerHost int      // how many of its family a host may hold; 0 = any number
	Spread     []Spread // labels over whose values the family is spread

	Memory int64 // bytes that it reserves; 0 = none
	CPU    int64 // thousandths of a core that it reserves; 0 = none

	Runtime string   // what the host must have: docker, podman, or "" for nothing
	Images  []string // container images that are on the host before the unit is started

	Handover       Handover // how it leaves a host that lives
	Reschedule     bool     // it is tried on another host after it failed
	MaxUnavailable Amount   // of its family, or copies of a global unit; zero = 1
	Drain          Drain    // what becomes of it when its host is drained
}

// Drain says what becomes of a unit when its host is drained.
type Drain int

// The ways.
const (
	DrainMove Drain = iota // it goes to another host; where none takes it the drain is blocked
	DrainStay              // it stays, and the host's reboot stops it: what it needs is on this host
	DrainStop              // it goes to another host; where none takes it, it is stopped
)

// String is the word that unit files write.
func (d Drain) String() string {
	switch d {
	case DrainStay:
		return "stay"
	case DrainStop:
		return "stop"
	}
	return "move"
}

// Handover says in which order a unit leaves one living host and starts on another.
type Handover int

// The handovers. Stop-first never has two copies run, start-first never has none.
const (
	StopFirst Handover = iota
	StartFirst
)

// String is the handover as unit files write it.
func (h Handover) String() string {
	if h == StartFirst {
		return "start-first"
	}
	return "stop-first"
}

// Spread asks that the instances of a template unit are spread over the values of a host label.
// A hard one refuses a host whose value holds more of them than the value that holds fewest.
type Spread struct {
	Label string
	Hard  bool
}

// Amount is a number of things, or a share of them. The zero value stands for a default.
type Amount struct {
	N       int
	Percent bool // N is percent of the whole
}

// Of is the amount out of a whole, at least 1: less would never let anything go on.
func (a Amount) Of(whole int) int {
	if a.Percent {
		return max(1, whole*a.N/100)
	}
	return max(1, a.N)
}

// Operator is the comparison of a Requirement.
type Operator int

// The comparisons. The four that order compare numbers; a host whose label is none does not match.
const (
	In           Operator = iota // the label is there and has one of Values
	NotIn                        // the label is missing or has none of Values
	Exists                       // the label is there
	NotExists                    // the label is missing
	Less                         // the label is a number < Values[0]
	LessEqual                    // <=
	Greater                      // >
	GreaterEqual                 // >=
)

// Requirement asks something of a host's label Key.
type Requirement struct {
	Key    string
	Op     Operator
	Values []string
}

// Match reports whether a host with these labels satisfies the requirement.
func (r Requirement) Match(labels map[string]string) bool {
	v, ok := labels[r.Key]
	switch r.Op {
	case In:
		return ok && slices.Contains(r.Values, v)
	case NotIn:
		return !ok || !slices.Contains(r.Values, v)
	case Exists:
		return ok
	case NotExists:
		return !ok
	default:
		return ok && r.ordered(v)
	}
}

// ordered reports whether the label's value stands as it should to the number that is asked for.
func (r Requirement) ordered(value string) bool {
	if len(r.Values) == 0 {
		return false
	}
	c, ok := compareNumbers(value, r.Values[0])
	switch r.Op {
	case Less:
		return ok && c < 0
	case LessEqual:
		return ok && c <= 0
	case Greater:
		return ok && c > 0
	case GreaterEqual:
		return ok && c >= 0
	default:
		return false
	}
}

// Negative reports whether a host that does not match has something, instead of lacking it.
func (r Requirement) Negative() bool { return r.Op == NotIn || r.Op == NotExists }

// Opposite is what a host has that a negative requirement keeps off: key=value for key!=value, key for !key.
// Other requirements stay as they are.
func (r Requirement) Opposite() Requirement {
	switch r.Op {
	case NotIn:
		r.Op = In
	case NotExists:
		r.Op = Exists
	default:
	}
	return r
}

// String returns the requirement for messages, much as unit files write it: key=value, key=a or key=b, cores>=4.
func (r Requirement) String() string {
	switch r.Op {
	case In:
		return r.join("=", " or ")
	case NotIn:
		return r.join("!=", " and ")
	case Exists:
		return r.Key
	case NotExists:
		return "!" + r.Key
	case Less:
		return r.join("<", "")
	case LessEqual:
		return r.join("<=", "")
	case Greater:
		return r.join(">", "")
	case GreaterEqual:
		return r.join(">=", "")
	default:
		return r.join("?", "")
	}
}

// join writes the key with each value.
func (r Requirement) join(sign, between string) string {
	out := make([]string, len(r.Values))
	for i, v := range r.Values {
		out[i] = r.Key + sign + v
	}
	return strings.Join(out, between)
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
