package api

import (
	"time"

	"flotilla/cluster"
)

// spec is what of a group users write.
func (g Group) spec() cluster.Group {
	out := cluster.Group{
		Selector: g.Selector, Max: g.Max, Windows: words(g.Windows), Spread: g.Spread, Failures: g.Failures, Times: g.Times.spec(),
		Finish: g.Finish, OnBlocked: g.OnBlocked, Loops: g.Loops, Wall: g.Wall,
	}
	for _, s := range g.Stages {
		out.Stages = append(out.Stages, cluster.Stage{Selector: s.Selector, Max: s.Max, Soak: time.Duration(s.Soak)})
	}
	for _, c := range g.Checks {
		check := cluster.Check{HTTP: c.HTTP, TCP: c.TCP, Command: c.Command, When: c.When, Timeout: time.Duration(c.Timeout)}
		if c.PromQL != nil {
			check.PromQL = &cluster.PromQL{URL: c.PromQL.URL, Query: c.PromQL.Query}
		}
		out.Checks = append(out.Checks, check)
	}
	return out
}

// words is a list as the store has it: nil when it is empty.
func words(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	return list
}

func (t GroupTimes) spec() cluster.Times {
	return cluster.Times{
		Drain: time.Duration(t.Drain), Grant: time.Duration(t.Grant), Return: time.Duration(t.Return), Gate: time.Duration(t.Gate),
		Settle: time.Duration(t.Settle), Hooks: time.Duration(t.Hooks), Grace: time.Duration(t.Grace), Retry: time.Duration(t.Retry),
	}
}

// groupView shows a group; hosts are its members.
func groupView(g *cluster.GroupHead, hosts int) Group {
	out := Group{
		Name: g.Name, Selector: g.Selector, Max: g.Max, Windows: g.Windows, Spread: g.Spread, Failures: g.Failures, Times: timesView(g.Times),
		Finish: g.Finish, OnBlocked: g.OnBlocked, Loops: g.Loops, Wall: g.Wall, Freeze: g.Freeze,
		Hosts: hosts, Problem: g.Unusable(), Revision: g.Rev,
	}
	if !g.By.When.IsZero() {
		by := g.By
		out.By = &by
	}
	for _, s := range g.Stages {
		out.Stages = append(out.Stages, GroupStage{Selector: s.Selector, Max: s.Max, Soak: Span(s.Soak)})
	}
	for _, c := range g.Checks {
		check := GroupCheck{HTTP: c.HTTP, TCP: c.TCP, Command: c.Command, When: c.When, Timeout: Span(c.Timeout)}
		if c.PromQL != nil {
			check.PromQL = &GroupPromQL{URL: c.PromQL.URL, Query: c.PromQL.Query}
		}
		out.Checks = append(out.Checks, check)
	}
	return out
}

func timesView(t cluster.Times) GroupTimes {
	return GroupTimes{
		Drain: Span(t.Drain), Grant: Span(t.Grant), Return: Span(t.Return), Gate: Span(t.Gate),
		Settle: Span(t.Settle), Hooks: Span(t.Hooks), Grace: Span(t.Grace), Retry: Span(t.Retry),
	}
}

// spec is what of a window users write.
func (w Window) spec() cluster.Window {
	return cluster.Window{
		Calendar: w.Calendar, Duration: time.Duration(w.Duration), Zone: w.Zone, Except: words(w.Except), Jitter: time.Duration(w.Jitter),
	}
}

// windowView shows a window; groups are those that name it.
func windowView(w *cluster.WindowHead, groups []string, now time.Time) Window {
	out := Window{
		Name: w.Name, Calendar: w.Calendar, Duration: Span(w.Duration), Zone: w.Zone, Except: w.Except, Jitter: Span(w.Jitter),
		Normalized: w.Normalized(), Groups: groups, Problem: w.Bad, Revision: w.Rev,
	}
	if !w.By.When.IsZero() {
		by := w.By
		out.By = &by
	}
	if out.Problem != "" {
		return out
	}
	list, err := w.Openings(now, 1)
	switch {
	case err != nil:
		out.Problem = err.Error()
	case len(list) == 0:
		out.Problem = "it opens no more"
	default:
		o := openingView(list[0])
		out.Next = &o
	}
	return out
}

func openingView(o cluster.Opening) Opening {
	return Opening{From: o.From, Until: o.Until, Zone: o.From.Location().String()}
}
