package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"flotilla/cluster"
)

// Span is a time in the words of a person: "90s", "1h30m".
type Span time.Duration

// String is the shortest form that ParseDuration of package time reads.
func (s Span) String() string {
	text := time.Duration(s).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// MarshalText writes what UnmarshalText reads.
func (s Span) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a time with units.
func (s *Span) UnmarshalText(b []byte) error {
	d, err := time.ParseDuration(string(b))
	if err != nil {
		return Refuse(http.StatusBadRequest, "write it with units, as in 90s, 15m or 1h30m", "%q is no time", b)
	}
	*s = Span(d)
	return nil
}

// Group is a set of hosts that share reboot slots. What the daemon says of itself is not looked at when a group is
// sent: Hosts, Problem, Freeze, By and Revision.
type Group struct {
	Name      string            `json:"name"`
	Selector  string            `json:"selector"`          // which hosts, as in role=web,zone!=a; "" = all, of default: those that no other group selects
	Max       cluster.Slots     `json:"max,omitzero"`      // hosts that may be away at once: "2" or "25%"; "" = 1
	Windows   []string          `json:"windows,omitempty"` // when its hosts may begin to reboot by themselves
	Stages    []GroupStage      `json:"stages,omitempty"`  // in their order; the hosts of no stage come last
	Spread    string            `json:"spread,omitempty"`  // label whose values are failure domains
	Failures  int               `json:"failures,omitempty"`
	Checks    []GroupCheck      `json:"checks,omitempty"`
	Times     GroupTimes        `json:"times,omitzero"`
	Finish    bool              `json:"finish,omitempty"`
	OnBlocked cluster.OnBlocked `json:"on_blocked,omitempty"`
	Loops     int               `json:"loops,omitempty"`
	Wall      string            `json:"wall,omitempty"`
	Freeze    *cluster.Freeze   `json:"freeze,omitempty"`
	Hosts     int               `json:"hosts"`             // that belong to it now
	Problem   string            `json:"problem,omitempty"` // why none of them reboots by it
	By        *cluster.Note     `json:"by,omitempty"`      // who set it last
	Revision  int64             `json:"revision,omitempty"`
}

// GroupStage is a part of a group that goes before the rest.
type GroupStage struct {
	Selector string        `json:"selector"`
	Max      cluster.Slots `json:"max,omitzero"`
	Soak     Span          `json:"soak,omitzero"` // how long its hosts must be well before the next stage begins
}

// GroupCheck is one thing that must be well before and after a host's reboot. It has one target.
type GroupCheck struct {
	HTTP    string       `json:"http,omitempty"`
	TCP     string       `json:"tcp,omitempty"`
	Command string       `json:"command,omitempty"`
	PromQL  *GroupPromQL `json:"promql,omitempty"`
	When    string       `json:"when,omitempty"` // before, after; "" = both
	Timeout Span         `json:"timeout,omitzero"`
}

// GroupPromQL is a query that must have an empty result.
type GroupPromQL struct {
	URL   string `json:"url"`
	Query string `json:"query"`
}

// GroupTimes are a group's deadlines; zero = the default of cluster.Times.
type GroupTimes struct {
	Drain  Span `json:"drain,omitzero"`
	Grant  Span `json:"grant,omitzero"`
	Return Span `json:"return,omitzero"`
	Gate   Span `json:"gate,omitzero"`
	Settle Span `json:"settle,omitzero"`
	Hooks  Span `json:"hooks,omitzero"`
	Grace  Span `json:"grace,omitzero"`
	Retry  Span `json:"retry,omitzero"`
}

// UnmarshalJSON reads a stage strictly.
func (s *GroupStage) UnmarshalJSON(b []byte) error {
	type plain GroupStage
	return strictlyOf(b, (*plain)(s))
}

// UnmarshalJSON reads a check strictly.
func (c *GroupCheck) UnmarshalJSON(b []byte) error {
	type plain GroupCheck
	return strictlyOf(b, (*plain)(c))
}

// UnmarshalJSON reads a query strictly.
func (q *GroupPromQL) UnmarshalJSON(b []byte) error {
	type plain GroupPromQL
	return strictlyOf(b, (*plain)(q))
}

// UnmarshalJSON reads deadlines strictly.
func (t *GroupTimes) UnmarshalJSON(b []byte) error {
	type plain GroupTimes
	return strictlyOf(b, (*plain)(t))
}

func strictlyOf(b []byte, into any) error { return strictly(json.NewDecoder(bytes.NewReader(b)), into) }

// Window says when reboots may begin. What the daemon says of itself is not looked at when a window is sent:
// Normalized, Groups, Problem, Next, By and Revision.
type Window struct {
	Name       string        `json:"name"`
	Calendar   string        `json:"calendar"`           // of systemd.time(7)
	Duration   Span          `json:"duration"`           // elapsed time
	Zone       string        `json:"zone,omitempty"`     // IANA name; "" = UTC
	Except     []string      `json:"except,omitempty"`   // days on which it does not open
	Jitter     Span          `json:"jitter,omitzero"`    // each host begins up to so much later
	Normalized string        `json:"normalized"`         // the calendar as systemd prints it
	Groups     []string      `json:"groups,omitempty"`   // that name it
	Problem    string        `json:"problem,omitempty"`  // why it never opens
	Next       *Opening      `json:"next,omitempty"`     // the present or the next opening
	By         *cluster.Note `json:"by,omitempty"`       // who set it last
	Revision   int64         `json:"revision,omitempty"` // mod revision
}

// Opening is one time in which a window is open, in the window's zone: From is part of it, Until is not.
type Opening struct {
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
	Zone  string    `json:"zone"`
}
