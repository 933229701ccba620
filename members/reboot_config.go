package members

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// RebootConfig is what this host's configuration says of its reboots.
type RebootConfig struct {
	// Sources say whether the host needs a reboot; absent = the usual ones, [] = nobody says so.
	Sources []RebootSource `json:"sources,omitzero"`
	// FleetLock is where FleetLock clients are answered besides on the API.
	FleetLock FleetLock `json:"fleetlock,omitzero"`
}

// RebootSource is one way to learn whether the host needs a reboot. Exactly one of its first seven is set.
type RebootSource struct {
	File            string   `json:"file,omitempty"`    // needs one while it exists
	Command         []string `json:"command,omitempty"` // says so by its exit status
	UpdateEngine    bool     `json:"update_engine,omitempty"`
	RPMOSTree       bool     `json:"rpm_ostree,omitempty"`
	Sysupdate       bool     `json:"sysupdate,omitempty"`
	NeedsRestarting bool     `json:"needs_restarting,omitempty"`
	OlderThanDays   int      `json:"older_than_days,omitempty"` // days since the boot

	Yes     []int    `json:"yes,omitempty"` // exit statuses of Command that mean yes; all that are neither mean that nobody knows
	No      []int    `json:"no,omitempty"`
	Timeout Duration `json:"timeout,omitzero"` // of Command; default 30 s
	Every   Duration `json:"every,omitzero"`   // between two runs of Command; default 10 min
}

// checkReboot is the part of check about reboots. A source that is not right is named with its place, as in
// reboot.sources.2, counted from 1.
func (c Config) checkReboot() (field, what, hint string) {
	for i, s := range c.Reboot.Sources {
		if what, hint := s.check(); what != "" {
			return fmt.Sprintf("reboot.sources.%d", i+1), what, hint
		}
	}
	return c.checkFleetLock()
}

// check says what is wrong with one source.
func (s RebootSource) check() (what, hint string) {
	set := 0
	for _, is := range []bool{s.File != "", len(s.Command) > 0, s.UpdateEngine, s.RPMOSTree, s.Sysupdate, s.NeedsRestarting, s.OlderThanDays != 0} {
		if is {
			set++
		}
	}
	if set != 1 {
		return fmt.Sprintf("names %d things to ask, not one", set), "write one of file, command, update_engine, rpm_ostree, sysupdate, needs_restarting, older_than_days in each source"
	}
	switch {
	case s.File != "" && !strings.HasPrefix(s.File, "/"):
		return fmt.Sprintf("%q is no absolute path", s.File), "write it like /run/reboot-required"
	case s.OlderThanDays < 0:
		return fmt.Sprintf("%d is no number of days", s.OlderThanDays), "write a number above 0"
	case len(s.Command) == 0 && (len(s.Yes) > 0 || len(s.No) > 0 || s.Timeout != 0 || s.Every != 0):
		return "yes, no, timeout and every belong to a command", "remove them"
	case len(s.Command) == 0:
		return "", ""
	case s.Command[0] == "":
		return "the command is empty", `write it like ["/usr/local/bin/needs-reboot"]`
	case len(s.Yes) == 0:
		return "no exit status means yes", `write "yes": [0] or another one`
	case s.Timeout < 0 || s.Every < 0:
		return "a time below zero", `write it like "30s"`
	}
	for _, status := range append(append([]int{}, s.Yes...), s.No...) {
		if status < 0 || status > 255 {
			return fmt.Sprintf("%d is no exit status", status), "write numbers from 0 to 255"
		}
	}
	for _, yes := range s.Yes {
		for _, no := range s.No {
			if yes == no {
				return fmt.Sprintf("%d means both yes and no", yes), "decide"
			}
		}
	}
	return "", ""
}

// lineOfElement is the line on which the nth element (from 1) of an array begins, 0 if the file does not have it. The
// array is the first after its name.
func lineOfElement(raw []byte, name string, n int) int {
	at := bytes.Index(raw, []byte(`"`+name+`"`))
	if at < 0 {
		return 0
	}
	open := bytes.IndexByte(raw[at:], '[')
	if open < 0 {
		return 0
	}
	at += open
	d := json.NewDecoder(bytes.NewReader(raw[at:]))
	if _, err := d.Token(); err != nil {
		return 0
	}
	var element json.RawMessage
	for range n {
		if !d.More() || d.Decode(&element) != nil {
			return 0
		}
	}
	return lineAt(raw, int64(at)+d.InputOffset()-int64(len(element))+1)
}
