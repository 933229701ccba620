package cluster

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"flotilla/units"
)

// What one group may hold at most, and the longest of its deadlines. All are far beyond use.
const (
	mostOfGroup  = 100
	longestText  = 4096
	longestTime  = 31 * 24 * time.Hour
	longestName  = 128
	longestCheck = time.Hour
)

// CheckGroupName says whether a group or window may have a name. The error is a *units.Error.
func CheckGroupName(name GroupName) error {
	good := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-'
	}
	if name == "" || len(name) > longestName || strings.Trim(name, ".") == "" || strings.ContainsFunc(name, func(r rune) bool { return !good(r) }) {
		return fault(fmt.Sprintf("%q is no name of a group or window", name), fmt.Sprintf("write letters, digits, dots and dashes, at most %d", longestName))
	}
	return nil
}

// Check says what is wrong with a group, where, and how to mend it. The error is a *units.Error. That its windows
// exist is for others to see.
func (g Group) Check(name GroupName) error {
	if err := CheckGroupName(name); err != nil {
		return err
	}
	if name == DefaultGroup && strings.TrimSpace(g.Selector) != "" {
		return fault("group default takes no selector: it is for the hosts that no other group selects", "make a group of another name for it")
	}
	if _, err := units.ParseSelector(g.Selector); err != nil {
		return err
	}
	for _, check := range []func() error{g.checkWindows, g.checkStages, g.checkNumbers, g.checkTimes, g.checkChecks} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (g Group) checkWindows() error {
	if len(g.Windows) > mostOfGroup {
		return fault(fmt.Sprintf("%d windows are more than %d", len(g.Windows), mostOfGroup), "write fewer")
	}
	for i, w := range g.Windows {
		if err := CheckGroupName(w); err != nil {
			return err
		}
		if slices.Contains(g.Windows[:i], w) {
			return fault("window "+w+" comes twice", "write it once")
		}
	}
	return nil
}

func (g Group) checkStages() error {
	if len(g.Stages) > mostOfGroup {
		return fault(fmt.Sprintf("%d stages are more than %d", len(g.Stages), mostOfGroup), "write fewer")
	}
	for i, s := range g.Stages {
		place := fmt.Sprintf("stage %d: ", i+1)
		if strings.TrimSpace(s.Selector) == "" {
			return fault(place+"it selects no hosts in particular", "write a selector, as in canary=yes; the hosts of no stage come last by themselves")
		}
		if _, err := units.ParseSelector(s.Selector); err != nil {
			return placed(place, err)
		}
		if err := checkTime(place+"soak", s.Soak); err != nil {
			return err
		}
	}
	return nil
}

// placed puts a place before a fault.
func placed(place string, err error) error {
	var f *units.Error
	if errors.As(err, &f) {
		return fault(place+f.Msg, f.Hint)
	}
	return err
}

func (g Group) checkNumbers() error {
	switch g.OnBlocked {
	case "", AbortDrain, SkipUnit, StopUnit:
	default:
		return fault(fmt.Sprintf("on blocked %q is no way to go on", g.OnBlocked), "write abort, skip or stop")
	}
	if g.Spread != "" {
		if err := units.CheckLabelKey(g.Spread); err != nil {
			return placed("spread: "+strconv.Quote(g.Spread)+" ", err)
		}
	}
	switch {
	case g.Failures < 0:
		return fault(fmt.Sprintf("%d failures are below 0", g.Failures), "write how many hosts may be unwell while the group goes on")
	case g.Loops < 0:
		return fault(fmt.Sprintf("%d reboots for one cause are below 0", g.Loops), "write after how many reboots for one cause a host counts as looping")
	case len(g.Wall) > longestText:
		return fault(fmt.Sprintf("the wall message has %d bytes, more than %d", len(g.Wall), longestText), "write less")
	case strings.ContainsFunc(g.Wall, func(r rune) bool { return !unicode.IsPrint(r) && r != '\n' }):
		return fault("the wall message holds a character that cannot be printed", "write plain text")
	}
	return nil
}

func (g Group) checkTimes() error {
	t := g.Times
	for _, c := range []struct {
		what string
		time time.Duration
	}{
		{"drain timeout", t.Drain},
		{"grant timeout", t.Grant},
		{"return timeout", t.Return},
		{"gate timeout", t.Gate},
		{"settle time", t.Settle},
		{"hook timeout", t.Hooks},
		{"grace", t.Grace},
		{"retry time", t.Retry},
	} {
		if err := checkTime(c.what, c.time); err != nil {
			return err
		}
	}
	return nil
}

func checkTime(what string, d time.Duration) error {
	if d < 0 || d > longestTime {
		return fault(fmt.Sprintf("%s %s is not between 0 and %d days", what, d, longestTime/(24*time.Hour)), "write a time such as 90s, 15m or 2h; 0 is the default")
	}
	return nil
}

func (g Group) checkChecks() error {
	if len(g.Checks) > mostOfGroup {
		return fault(fmt.Sprintf("%d checks are more than %d", len(g.Checks), mostOfGroup), "write fewer")
	}
	for i, c := range g.Checks {
		if err := c.Check(); err != nil {
			return placed(fmt.Sprintf("check %d: ", i+1), err)
		}
	}
	return nil
}

// Check says what is wrong with a check. The error is a *units.Error.
func (c Check) Check() error {
	targets := 0
	for _, set := range []bool{c.HTTP != "", c.TCP != "", c.Command != "", c.PromQL != nil} {
		if set {
			targets++
		}
	}
	switch {
	case targets != 1:
		return fault(fmt.Sprintf("it has %d targets", targets), "write one of http, tcp, command and promql")
	case c.When != "" && c.When != "before" && c.When != "after":
		return fault(fmt.Sprintf("when %q is no side of a reboot", c.When), "write before or after, or leave it out for both")
	case c.Timeout < 0 || c.Timeout > longestCheck:
		return fault(fmt.Sprintf("timeout %s is not between 0 and %s", c.Timeout, longestCheck), "write a time such as 10s; 0 is the default")
	case c.HTTP != "":
		return checkURL("http", c.HTTP)
	case c.TCP != "":
		return checkTCP(c.TCP)
	case c.Command != "":
		return checkCommand(c.Command)
	}
	if strings.TrimSpace(c.PromQL.Query) == "" || len(c.PromQL.Query) > longestText {
		return fault(fmt.Sprintf("promql: a query has 1 to %d bytes", longestText), `write one that has a result while something is wrong, as in ALERTS{alertstate="firing"}`)
	}
	return checkURL("promql", c.PromQL.URL)
}

func checkURL(what, text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || len(text) > longestText || !goodPort(u.Port(), true) {
		return fault(fmt.Sprintf("%s %q is no URL that can be asked", what, text), "write it as http://127.0.0.1:8080/health")
	}
	return nil
}

func checkTCP(text string) error {
	u, err := url.Parse("tcp://" + text)
	if err != nil || u.Host != text || u.Hostname() == "" || len(text) > longestText || !goodPort(u.Port(), false) {
		return fault(fmt.Sprintf("tcp %q is no address that can be asked", text), "write it as 127.0.0.1:5432, an IPv6 address as [::1]:5432")
	}
	return nil
}

func goodPort(text string, optional bool) bool {
	n, err := strconv.ParseUint(cmp.Or(text, "0"), 10, 16)
	return err == nil && (n > 0 || optional && text == "")
}

func checkCommand(text string) error {
	if strings.TrimSpace(text) == "" || len(text) > longestText || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fault(fmt.Sprintf("a command is one line of 1 to %d bytes", longestText), "put what is longer into a script on the hosts")
	}
	return nil
}
