package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"flotilla/api"
	"flotilla/cluster"
)

func rebalanceCommand() *cli.Command {
	return &cli.Command{
		Name: "rebalance", Category: groupHosts, Usage: "move units so that all hosts have as many", Action: rebalance,
		Flags: append(endpointFlags(),
			&cli.BoolFlag{Name: "dry-run", Usage: "only print the moves"},
			&cli.IntFlag{Name: "max-moves", Usage: "moves at most; 0 = as many as it takes"},
			&cli.BoolFlag{Name: "fenced", Usage: "fenced units may move too"},
			&cli.BoolFlag{Name: "no-wait", Aliases: []string{"no-block"}, Usage: "return once the wishes are durable"},
			&cli.DurationFlag{Name: "timeout", Value: 5 * time.Minute, Usage: "how long to wait, such as 30s"},
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "json or yaml"},
			&cli.BoolFlag{Name: "no-legend", Usage: "no header line"}),
	}
}

func rebalance(c *cli.Context) error {
	if err := checkList(c, hostColumns()); err != nil {
		return err
	}
	if c.Int("max-moves") < 0 {
		return usagef("--max-moves %d: want a positive number, or 0 for as many as it takes", c.Int("max-moves"))
	}
	if c.Duration("timeout") <= 0 {
		return usagef("--timeout %s: want a positive duration such as 30s; --no-wait does not wait", c.Duration("timeout"))
	}
	cl, err := client(c)
	if err != nil {
		return err
	}
	done, err := cl.Rebalance(c.Context, api.Rebalance{DryRun: c.Bool("dry-run"), MaxMoves: c.Int("max-moves"), Fenced: c.Bool("fenced")})
	if err != nil {
		return err
	}
	if err := printMoves(c, done.Moves); err != nil {
		return err
	}
	if c.Bool("dry-run") || len(done.Moves) == 0 {
		return nil
	}
	return followMoves(c, cl, done.Moves)
}

// printMoves prints the moves as -o says.
func printMoves(c *cli.Context, moves []api.UnitMove) error {
	if done, err := printThing(c, moves); done {
		return err
	}
	if len(moves) == 0 {
		_, err := fmt.Fprintln(c.App.Writer, "nothing to move: no move would make the hosts more even")
		return err
	}
	return printTable(c, moves, []column[api.UnitMove]{
		{"unit", func(m api.UnitMove, _ bool) string { return string(m.Unit) }},
		{"from", func(m api.UnitMove, _ bool) string { return m.FromName }},
		{"to", func(m api.UnitMove, _ bool) string { return m.ToName }},
		{"why", func(m api.UnitMove, _ bool) string { return m.Why }},
	})
}

// mostWatched is how many units a watch names; beyond it all units are watched.
const mostWatched = 1000

// followMoves says what became of the wishes and waits until the units run on their new hosts.
func followMoves(c *cli.Context, cl *api.Client, moves []api.UnitMove) error {
	p := relocations{c: c, open: map[string]api.UnitMove{}, talk: newTalk(c)}
	var names []string
	from := int64(0)
	for _, m := range moves {
		if m.Error != nil {
			p.failed++
			fmt.Fprintf(c.App.ErrWriter, "flotilla: error: %s\n", m.Error)
			continue
		}
		p.open[string(m.Unit)] = m
		names, from = append(names, string(m.Unit)), max(from, m.Written)
	}
	var err error
	if !c.Bool("no-wait") && len(names) > 0 {
		err = p.wait(cl, names, from)
	}
	if err == nil && p.failed > 0 {
		err = exitCode(1)
	}
	return err
}

// relocations are moves under way.
type relocations struct {
	c      *cli.Context
	open   map[string]api.UnitMove
	failed int
	moved  int
	talk
}

// wait watches until all have moved or failed, or --timeout is over.
func (p *relocations) wait(cl *api.Client, names []string, from int64) error {
	ctx, cancel := context.WithTimeout(p.c.Context, p.c.Duration("timeout"))
	defer cancel()
	if len(names) > mostWatched {
		names = nil
	}
	w := watchUnits(ctx, cl, names, from)
	talk := time.NewTicker(tellAfter / 4)
	defer talk.Stop()
	var err error
	for open := true; open && len(p.open) > 0; {
		select {
		case u := <-w.seen:
			p.see(u)
		case <-talk.C:
			p.tell()
		case err = <-w.ended:
			open = false
		}
	}
	w.stop()
	p.clear()
	switch {
	case len(p.open) == 0:
		return nil
	case ctx.Err() != nil && p.c.Context.Err() == nil:
		p.timedOut()
		return nil
	case err == nil:
		return errors.New("the daemon ended the answer early: flotilla status tells what moved")
	}
	return err
}

// see takes a unit's newest view.
func (p *relocations) see(u api.Unit) {
	m, open := p.open[u.Name]
	if !open {
		return
	}
	on, left := whereNow(u, string(m.From))
	switch {
	case u.Revision == 0:
		p.close(u.Name, fmt.Errorf("%s was destroyed meanwhile", u.Name))
	case left && u.Failed:
		p.close(u.Name, fmt.Errorf("%s: %s (flotilla explain %s)", u.Name, u.Reason, u.Name))
	case left && u.Settled && len(on) > 0:
		p.moved++
		p.close(u.Name, nil)
		if p.c.String("output") == "" {
			fmt.Fprintf(p.c.App.Writer, "%s moved to %s\n", u.Name, strings.Join(on, ", "))
		}
	default:
		p.line(u, fmt.Sprintf("%d of %d moved", p.moved, p.moved+len(p.open)))
	}
}

// whereNow are the hosts that are ordered to have the unit, and whether its old host is none of them.
func whereNow(u api.Unit, old string) (on []string, left bool) {
	left = true
	for _, i := range u.Instances {
		if i.Order == "" || i.Order == cluster.Gone.String() {
			continue
		}
		on = append(on, i.HostName)
		left = left && i.Host != old
	}
	return on, left
}

func (p *relocations) close(name string, err error) {
	delete(p.open, name)
	delete(p.reason, name)
	p.clear()
	if err != nil {
		p.failed++
		fmt.Fprintf(p.c.App.ErrWriter, "flotilla: error: %s\n", err)
	}
}

// timedOut tells of the units that have not moved when --timeout is over.
func (p *relocations) timedOut() {
	var names []string
	for n := range p.open {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		why := p.reason[n].why
		if why == "" {
			why = "it is still on " + p.open[n].FromName
		}
		p.failed++
		fmt.Fprintf(p.c.App.ErrWriter, "flotilla: error: %s: not moved after %s: %s (it stays wanted; flotilla explain %s)\n", n, p.c.Duration("timeout"), why, n)
	}
}
