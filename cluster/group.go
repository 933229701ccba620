package cluster

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// GroupName is the name of a group or window: letters, digits, dots and dashes, as FleetLock's groups.
type GroupName = string

// Check is one thing that must be well before and after a host's reboot. Exactly one of the targets is set.
type Check struct {
	HTTP    string        `json:"http,omitempty"`    // URL that answers 2xx to GET, from the host
	TCP     string        `json:"tcp,omitempty"`     // host:port that accepts
	Command string        `json:"command,omitempty"` // by systemd on the host, exit status 0
	PromQL  *PromQL       `json:"promql,omitempty"`
	When    string        `json:"when,omitempty"`    // "before", "after"; "" = both
	Timeout time.Duration `json:"timeout,omitempty"` // nanoseconds; 0 = 10 s
}

// PromQL is a query that must have an empty result, as an alert's has while it does not fire.
type PromQL struct {
	URL   string `json:"url"`
	Query string `json:"query"`
}

// Group is a set of hosts that share reboot slots (key group/<name>). A host may be in several: it then takes
// a slot of each.
type Group struct {
	Selector  string      `json:"selector"`           // which hosts, in the words of ParseSelector; "" = all
	Max       Slots       `json:"max"`                // hosts that may be away at once; 0 freezes the group; default 1
	Windows   []GroupName `json:"windows,omitempty"`  // when its hosts may begin to reboot by themselves; none = never by themselves
	Stages    []Stage     `json:"stages,omitempty"`   // in their order; the hosts of no stage come last
	Spread    string      `json:"spread,omitempty"`   // label whose values are failure domains: never two hosts of one at once
	Failures  int         `json:"failures,omitempty"` // overdue or unhealthy hosts with which the group still goes on
	Checks    []Check     `json:"checks,omitempty"`
	Times     Times       `json:"times,omitzero"`
	Finish    bool        `json:"finish,omitempty"` // what began in a window may reboot after its end
	OnBlocked OnBlocked   `json:"on_blocked,omitempty"`
	Loops     int         `json:"loops,omitempty"` // reboots for the same cause after which a host counts as looping; 0 = 2
	Wall      string      `json:"wall,omitempty"`
	Freeze    *Freeze     `json:"freeze,omitempty"`
	By        Note        `json:"by"`
}

// Stage is a part of a group that goes before the rest: its canaries, or a batch.
type Stage struct {
	Selector string        `json:"selector"`
	Max      Slots         `json:"max,omitzero"`   // of the stage; zero = the group's
	Soak     time.Duration `json:"soak,omitempty"` // how long its hosts must be well before the next stage begins; nanoseconds
}

// Times are a group's deadlines; zero = the default. Nanoseconds.
type Times struct {
	Drain  time.Duration `json:"drain,omitempty"`  // 15 min: then the drain counts as blocked
	Grant  time.Duration `json:"grant,omitempty"`  // 1 min: then a grant that nobody used is taken back
	Return time.Duration `json:"return,omitempty"` // 10 min: then the host is overdue
	Gate   time.Duration `json:"gate,omitempty"`   // 10 min: then a host that is not well halts its groups
	Settle time.Duration `json:"settle,omitempty"` // 15 s: how long all must be well
	Hooks  time.Duration `json:"hooks,omitempty"`  // 5 min: of each hook
	Grace  time.Duration `json:"grace,omitempty"`  // 0: what logged-in users get after the wall message
	Retry  time.Duration `json:"retry,omitempty"`  // 1 h: before a host is tried again that was blocked
}

// Window says when reboots may begin (key window/<name>).
type Window struct {
	Calendar string        `json:"calendar"`         // systemd.time(7): "Sat *-*-* 02:00"
	Duration time.Duration `json:"duration"`         // elapsed time, not clock time; nanoseconds
	Zone     string        `json:"zone"`             // IANA name; "" = UTC
	Except   []string      `json:"except,omitempty"` // days YYYY-MM-DD in Zone, or FROM..TO, on which it does not open
	Jitter   time.Duration `json:"jitter,omitempty"` // each host begins up to so much later; nanoseconds
	By       Note          `json:"by"`
}

// RebootPolicy is what holds for all groups (key reboots).
type RebootPolicy struct {
	Freeze  *Freeze `json:"freeze,omitempty"`
	Webhook string  `json:"webhook,omitempty"` // URL that outcomes are posted to
	By      Note    `json:"by"`
}

// Slots is a number of hosts, or a share of them. The zero value is the default, 1.
type Slots struct {
	N       int
	Percent bool // N is percent of the whole
	Given   bool
}

// ErrBadSlots says that a text is no number of slots.
var ErrBadSlots = errors.New("neither a number of hosts such as 2 nor a share such as 25%")

// ParseSlots reads "2", "25%" or "0", which freezes; "" is the default.
func ParseSlots(text string) (Slots, error) {
	if text == "" {
		return Slots{}, nil
	}
	number, percent := strings.CutSuffix(text, "%")
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 || percent && n > 100 || strings.Trim(number, "0123456789") != "" {
		return Slots{}, fmt.Errorf("%q: %w", text, ErrBadSlots)
	}
	return Slots{N: n, Percent: percent, Given: true}, nil
}

// String is the text that ParseSlots reads.
func (s Slots) String() string {
	switch {
	case !s.Given:
		return ""
	case s.Percent:
		return strconv.Itoa(s.N) + "%"
	}
	return strconv.Itoa(s.N)
}

// MarshalText writes what ParseSlots reads.
func (s Slots) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (s *Slots) UnmarshalText(b []byte) error {
	v, err := ParseSlots(string(b))
	if err == nil {
		*s = v
	}
	return err
}

// Of is how many of a whole that is: a share is rounded down, and at least 1 unless it is 0%.
func (s Slots) Of(whole int) int {
	switch {
	case !s.Given:
		return 1
	case s.Percent && s.N > 0:
		return max(1, whole*s.N/100)
	case s.Percent:
		return 0
	}
	return s.N
}
