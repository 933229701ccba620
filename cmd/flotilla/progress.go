package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"flotilla/api"
	"flotilla/cluster"
	"flotilla/units"
)

// secondLook is how long what was started has to stay up before it is said to run: to systemd a
// plain service is active as soon as its process was forked, whether or not there is anything to run.
const secondLook = time.Second

// progress is what a waiting command knows of its units.
type progress struct {
	c      *cli.Context
	verb   verb
	open   map[string]api.Unit       // as last seen
	up     map[string]trial          // of those, what was seen to run
	counts map[string]map[string]int // how often systemd had restarted each when it was first seen, by host
	again  <-chan time.Time          // when the first trial ends; nil = there is none
	first  bool                      // the first that fails ends the wait
	failed int
	began  time.Time
	talk
}

// trial is a unit that was started and may yet fall over, or fell and may yet be restarted: a
// host may have looked at it just between the two.
type trial struct {
	until    time.Time
	restarts int // by systemd until it began
}

func newProgress(c *cli.Context, v verb, names []string) *progress {
	p := &progress{
		c: c, verb: v, open: map[string]api.Unit{}, up: map[string]trial{}, counts: map[string]map[string]int{},
		began: time.Now(), talk: newTalk(c),
	}
	for _, n := range names {
		p.open[n] = api.Unit{Name: n}
	}
	return p
}

// starts says whether a verb makes units run.
func (v verb) starts() bool { return v.name == "start" || v.name == "restart" }

// see takes a unit's newest view.
func (p *progress) see(u api.Unit) {
	if _, waiting := p.open[u.Name]; !waiting {
		return
	}
	t, tried := p.up[u.Name]
	restarts, where := p.restarts(u)
	switch {
	case u.Failed && p.verb.starts():
		p.open[u.Name] = u
		if !tried {
			p.try(u)
		}
	case u.Failed && p.verb.name != "destroy" && p.verb.name != "unload":
		p.fail(u, u.Reason)
	case p.verb.starts() && u.Failure != "" && restarts > 0:
		p.fail(u, u.Failure)
	case tried && restarts > 1:
		p.fail(u, fmt.Sprintf("failed on %s: systemd had to restart it %d times", where, restarts))
	case tried && restarts > t.restarts:
		delete(p.up, u.Name)
		p.see(u)
	case u.Settled && (u.Ended || !p.verb.starts()), p.verb.starts() && u.Ended,
		p.verb.name == "stop" && len(u.Instances) == 0: // what has no host need not wait for one to be stopped
		p.finish(u)
	case u.Settled && !tried:
		p.open[u.Name] = u
		p.try(u)
	default:
		p.open[u.Name] = u
		p.line(u, fmt.Sprintf("%d left, %s", len(p.open), time.Since(p.began).Round(time.Second)))
	}
}

// try begins a unit's trial. One timer serves all.
func (p *progress) try(u api.Unit) {
	restarts, _ := p.restarts(u)
	p.up[u.Name] = trial{time.Now().Add(secondLook), restarts}
	p.reason[u.Name] = standing{told: p.reason[u.Name].told}
	if p.again == nil {
		p.again = time.After(secondLook)
	}
}

// restarts is how often systemd has restarted a unit since it was first seen, on the host where it
// did most. One restart belongs to a start: a unit with Restart= may stumble over what its last run
// left behind. What falls over again has failed. systemd counts anew with each start.
func (p *progress) restarts(u api.Unit) (most int, where string) {
	first := p.counts[u.Name]
	if first == nil {
		first = map[string]int{}
		p.counts[u.Name] = first
	}
	for _, i := range u.Instances {
		if was, known := first[i.Host]; !known || i.Restarts < was {
			first[i.Host] = i.Restarts
		}
		if n := i.Restarts - first[i.Host]; n > most {
			most, where = n, i.HostName
		}
	}
	return most, where
}

// lookAgain ends the trials that are over. A unit that does not run in this moment is tried anew
// when it does.
func (p *progress) lookAgain() {
	now, next := time.Now(), time.Time{}
	for _, name := range p.tried() {
		t := p.up[name]
		switch u := p.open[name]; {
		case now.Before(t.until):
			if next.IsZero() || t.until.Before(next) {
				next = t.until
			}
		case u.Settled:
			p.finish(u)
		case u.Failed:
			p.fail(u, u.Reason)
		default:
			delete(p.up, name)
		}
	}
	p.again = nil
	if !next.IsZero() {
		p.again = time.After(next.Sub(now))
	}
}

// tried are the names of the units on trial, sorted.
func (p *progress) tried() []string {
	var names []string
	for n := range p.up {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// finish says that a unit is as wanted.
func (p *progress) finish(u api.Unit) {
	p.close(u)
	fmt.Fprintln(p.c.App.Writer, p.verb.sentence(u))
}

// fail says why a unit will not be as wanted.
func (p *progress) fail(u api.Unit, why string) {
	p.refuse(u, fmt.Sprintf("%s (flotilla explain %s)", why, u.Name))
}

// refuse fails a unit with a sentence that has its remedy.
func (p *progress) refuse(u api.Unit, sentence string) {
	if _, open := p.open[u.Name]; !open {
		return // it was told of another host already
	}
	p.close(u)
	p.failed++
	fmt.Fprintf(p.c.App.ErrWriter, "flotilla: error: %s: %s\n", u.Name, sentence)
}

func (p *progress) close(u api.Unit) {
	delete(p.open, u.Name)
	delete(p.up, u.Name)
	delete(p.reason, u.Name)
	p.clear()
}

// timedOut tells of the units that --timeout left behind, and returns how many failed. What runs
// by then is not one of them.
func (p *progress) timedOut(names []string) int {
	for _, n := range names {
		u, open := p.open[n]
		switch {
		case open && u.Settled:
			p.finish(u)
		case open:
			p.failed++
			fmt.Fprintf(p.c.App.ErrWriter, "flotilla: error: %s: not %s after %s: %s (it stays wanted; flotilla explain %s)\n",
				n, p.verb.done(), p.c.Duration("timeout"), u.Reason, n)
		}
	}
	return p.failed
}

// sentence tells that a unit is as wanted, and where: on hosts that have the order and are there.
// What a host runs without any order is not what was asked for.
func (v verb) sentence(u api.Unit) string {
	var on, over []string
	for _, i := range u.Instances {
		switch {
		case i.Order == "", i.Order == cluster.Gone.String(), i.Active == "unknown":
		case v.starts() && u.Ended && i.Active == "inactive":
			over = append(over, i.HostName)
		default:
			on = append(on, i.HostName)
		}
	}
	switch {
	case v.name == "stop" && (u.Target == units.Inactive || len(u.Instances) == 0):
		return fmt.Sprintf("%s is not loaded anywhere", u.Name)
	case u.Global && u.Settled && u.Reason != "" && v.name != "destroy" && v.name != "unload":
		return fmt.Sprintf("%s %s on %s", u.Name, v.done(), lacking(append(on, over...), u.Reason))
	case len(on)+len(over) == 0:
		return fmt.Sprintf("%s %s", u.Name, v.done())
	case len(over) == 0:
		return fmt.Sprintf("%s %s on %s", u.Name, v.done(), strings.Join(on, ", "))
	case len(on) == 0:
		return fmt.Sprintf("%s ended on %s", u.Name, strings.Join(over, ", "))
	}
	return fmt.Sprintf("%s %s on %s, ended on %s", u.Name, v.done(), strings.Join(on, ", "), strings.Join(over, ", "))
}

// lacking are the hosts of a global unit that is not on all that it belongs on, and why.
func lacking(hosts []string, why string) string {
	if len(hosts) == 0 {
		return "no host: " + strings.TrimPrefix(why, "no host: ")
	}
	return strings.Join(hosts, ", ") + "; " + why
}
