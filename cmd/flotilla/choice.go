package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"flotilla/api"
	"flotilla/units"
)

// hostChoice is which hosts a command is about: those that it names, those with certain labels, or all.
type hostChoice struct {
	words    []string // ids, beginnings of ids, or names
	selector units.Selector
	text     string // of the selector
	all      bool
}

// choiceFlags are the flags of a command that readChoice serves.
func choiceFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "selector", Usage: "the hosts with these labels, such as role=web,zone!=a"},
		&cli.BoolFlag{Name: "all", Usage: "all hosts"},
	}
}

// readChoice reads the arguments and flags of a command about hosts, before anything is asked of a daemon.
func readChoice(c *cli.Context) (hostChoice, error) {
	out := hostChoice{words: c.Args().Slice(), text: c.String("selector"), all: c.Bool("all")}
	ways := 0
	for _, used := range []bool{len(out.words) > 0, c.IsSet("selector"), out.all} {
		if used {
			ways++
		}
	}
	_, command, _ := strings.Cut(c.Command.HelpName, " ") // all words of it
	switch {
	case ways == 0:
		return out, usagef("%s needs a host: flotilla %s h1 (or --selector role=web, or --all)", command, command)
	case ways > 1:
		return out, usagef("%s takes hosts by name, or --selector, or --all: choose one of them", command)
	}
	selector, err := units.ParseSelector(out.text)
	var bad *units.Error
	if errors.As(err, &bad) {
		return out, usagef("--%s (%s)", bad.Msg, bad.Hint)
	}
	out.selector = selector
	return out, err
}

// hosts are the chosen ones, by name. A word that is no host, or more than one, is an error, and so is a choice of
// none: nothing has been changed by then.
func (hc hostChoice) hosts(ctx context.Context, cl *api.Client) ([]api.Host, error) {
	list, err := cl.Hosts(ctx)
	if err != nil {
		return nil, err
	}
	var out []api.Host
	for _, word := range hc.words {
		h, no := hostNamed(list, word)
		if no != nil {
			err = errors.Join(err, no)
			continue
		}
		out = append(out, h)
	}
	if len(hc.words) == 0 {
		out = hc.among(list)
		if len(out) == 0 && hc.all {
			err = errors.New("no host has joined yet (flotilla join)")
		} else if len(out) == 0 {
			err = fmt.Errorf("no host has the labels %s (flotilla list-machines -o wide shows them)", hc.text)
		}
	}
	if err != nil {
		return nil, err
	}
	slices.SortFunc(out, byNameThenID)
	return slices.CompactFunc(out, func(a, b api.Host) bool { return a.ID == b.ID }), nil
}

func byNameThenID(a, b api.Host) int {
	if o := strings.Compare(a.Name, b.Name); o != 0 {
		return o
	}
	return strings.Compare(a.ID, b.ID)
}

// among are the hosts that the labels choose.
func (hc hostChoice) among(list []api.Host) []api.Host {
	var out []api.Host
	for _, h := range list {
		if h.State != api.HostRemoved && hc.selector.Match(h.Labels) {
			out = append(out, h)
		}
	}
	return out
}

// hostNamed knows a host by its id, its name, or a beginning of its id, as the API does.
func hostNamed(list []api.Host, word string) (api.Host, error) {
	var named, begun []api.Host
	for _, h := range list {
		switch {
		case h.ID == word:
			return h, nil
		case h.Name == word:
			named = append(named, h)
		case strings.HasPrefix(h.ID, word):
			begun = append(begun, h)
		}
	}
	found := named
	if len(found) == 0 {
		found = begun
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return api.Host{}, fmt.Errorf("no host %q in the cluster (flotilla list-machines shows them)", word)
	}
	return api.Host{}, fmt.Errorf("%q is %s: write more of the id", word, severalHosts(found))
}

// mostMeant is how many hosts a sentence names.
const mostMeant = 4

// severalHosts names hosts that a word could mean.
func severalHosts(found []api.Host) string {
	slices.SortFunc(found, byNameThenID)
	var names []string
	for _, h := range found[:min(len(found), mostMeant)] {
		names = append(names, h.Name+" ("+short(h.ID, 8, false)+")")
	}
	out := fmt.Sprintf("%d hosts: %s", len(found), strings.Join(names, ", "))
	if more := len(found) - len(names); more > 0 {
		out += fmt.Sprintf(" and %d more", more)
	}
	return out
}
