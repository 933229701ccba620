package units

import "fmt"

// Target is the state a user wants for a unit.
type Target int

// The target states. The zero value is Inactive.
const (
	Inactive Target = iota // known to the cluster, placed nowhere
	Loaded                 // placed: the file is written on a host, the unit is not started
	Launched               // placed and started
)

// String returns the state as the CLI and the API spell it.
func (t Target) String() string {
	switch t {
	case Inactive:
		return "inactive"
	case Loaded:
		return "loaded"
	case Launched:
		return "launched"
	default:
		return fmt.Sprintf("Target(%d)", int(t))
	}
}

// ParseTarget reads a target state. The error is an *Error.
func ParseTarget(s string) (Target, error) {
	for t := Inactive; t <= Launched; t++ {
		if s == t.String() {
			return t, nil
		}
	}
	return Inactive, &Error{Msg: "unknown target state " + quoted(s), Hint: "write inactive, loaded or launched"}
}

// MarshalText encodes the state for JSON and refuses a value that is none.
func (t Target) MarshalText() ([]byte, error) {
	if t < Inactive || t > Launched {
		return nil, fmt.Errorf("encode target state: %d is none", int(t))
	}
	return []byte(t.String()), nil
}

// UnmarshalText decodes the state and refuses any other text.
func (t *Target) UnmarshalText(text []byte) error {
	parsed, err := ParseTarget(string(text))
	if err != nil {
		return err
	}
	*t = parsed
	return nil
}

// State is what systemd reports about a unit on one host, in systemd's own words.
type State struct {
	Load   string `json:"load"`   // LoadState: loaded, not-found, bad-setting, error, masked
	Active string `json:"active"` // ActiveState: active, reloading, inactive, failed, activating, deactivating
	Sub    string `json:"sub"`    // SubState: depends on the type, such as running, exited, dead
	Result string `json:"result"` // Result: success, exit-code, signal, timeout, start-limit-hit and others
}

// Running reports whether the unit does its work. A one-shot with
// RemainAfterExit=yes that has finished counts as running, as in systemd.
func (s State) Running() bool {
	switch s.Active {
	case "active", "reloading", "refreshing":
		return true
	}
	return false
}

// Failed reports whether systemd gave the unit up.
func (s State) Failed() bool { return s.Active == "failed" }
