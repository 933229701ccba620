package templates

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
)

// What Compose, Docker and Podman take for a check that does not say it.
const (
	checkInterval = 30 * time.Second
	checkTimeout  = 30 * time.Second
	checkRetries  = 3
)

// check reports whether the service has a health check of its own.
func (c *converter) check() bool {
	h := c.service.HealthCheck
	return h != nil && !h.Disable && len(h.Test) > 0 && h.Test[0] != "NONE"
}

// health are the options for the check.
func (c *converter) health() []Word {
	h := c.service.HealthCheck
	if h == nil {
		return nil
	}
	if h.Disable || len(h.Test) > 0 && h.Test[0] == "NONE" {
		return []Word{"--no-healthcheck"}
	}
	if len(h.Test) == 0 {
		c.refuse("write test: and the command that checks", "healthcheck has no test", "healthcheck")
		return nil
	}
	cmd := c.checkCommand(h.Test)
	if cmd == "" {
		c.refuse(`write test: ["CMD", "/bin/check"] or a command for the shell`, "healthcheck.test has no command after CMD or CMD-SHELL", "healthcheck", "test")
	}
	words := []Word{"--health-cmd=" + Word(cmd)}
	for _, o := range []struct {
		name string
		d    *types.Duration
	}{{"interval", h.Interval}, {"timeout", h.Timeout}, {"start_period", h.StartPeriod}, {"start_interval", h.StartInterval}} {
		switch {
		case o.d == nil:
		case *o.d <= 0 || time.Duration(*o.d) > 24*time.Hour:
			c.refuse("write a duration such as 10s", "healthcheck."+o.name+" is not between 0 and 24 hours", "healthcheck", o.name)
		case o.name == "start_interval" && c.runtime == Podman: // it has none
		default:
			words = append(words, Word("--health-"+strings.ReplaceAll(o.name, "_", "-")+"="+time.Duration(*o.d).String()))
		}
	}
	if h.Retries != nil {
		words = append(words, Word("--health-retries="+strconv.FormatUint(*h.Retries, 10)))
	}
	return words
}

// checkCommand is a test as the runtime's --health-cmd takes it. Docker's takes text for a shell; Podman's
// takes a list too, but one of a single word for a shell's text.
func (c *converter) checkCommand(test []string) string {
	kind, args := test[0], test[1:]
	switch {
	case len(args) == 0 || args[0] == "":
		return ""
	case kind == "CMD-SHELL" && c.runtime == Docker:
		return strings.Join(args, " ")
	case kind == "CMD-SHELL":
		return jsonList([]string{strings.Join(args, " ")})
	case kind != "CMD":
		return ""
	case c.runtime == Podman && len(args) > 1:
		return jsonList(args)
	case c.runtime == Podman:
		return jsonList([]string{shellQuoted(args)})
	}
	return shellQuoted(args)
}

func jsonList(list []string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(list); err != nil {
		panic("a list of strings is no JSON: " + err.Error())
	}
	return strings.TrimSpace(b.String())
}

// StopTimeout is for TimeoutStopSec=: the grace period, and 30 s for the runtime to tidy up.
func (s Service) StopTimeout() int { return s.StopSeconds + 30 }

// startSeconds is how long a container with a check may take until it is healthy or has failed as often
// as it may, with room for its start. Without a check systemd's own limit holds.
func (c *converter) startSeconds() int {
	if !c.check() {
		return 0
	}
	h := c.service.HealthCheck
	or := func(d *types.Duration, other time.Duration) time.Duration {
		if d == nil {
			return other
		}
		return time.Duration(*d)
	}
	retries := uint64(checkRetries)
	if h.Retries != nil {
		retries = min(max(1, *h.Retries), 1000)
	}
	round := or(h.Interval, checkInterval) + or(h.Timeout, checkTimeout)
	return int((or(h.StartPeriod, 0) + time.Duration(retries)*round + 30*time.Second).Seconds())
}
