package main

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"flotilla/api"
)

func readStages(c *cli.Context, out *groupChange) error {
	if !c.IsSet("stage") {
		return nil
	}
	var stages []api.GroupStage
	for _, text := range c.StringSlice("stage") {
		words, more := additions(text, "max", "soak")
		s := api.GroupStage{Selector: words}
		for key, value := range more {
			var err error
			switch key {
			case "max":
				s.Max, err = readSlots(value)
			case "soak":
				err = readSpan(value, &s.Soak)
			}
			if err != nil {
				return usagef("--stage %q: %s: %v", text, key, err)
			}
		}
		stages = append(stages, s)
	}
	out.add(func(g *api.Group) { g.Stages = stages })
	return nil
}

func readSpan(text string, to *api.Span) error {
	d, err := time.ParseDuration(text)
	if err != nil {
		return usagef("%q is no time: write it with units, as in 90s or 1h30m", text)
	}
	*to = api.Span(d)
	return nil
}

// additions splits "TEXT; key=value; key=value" from its end, as far as the keys are known: the text may hold
// semicolons of its own.
func additions(text string, known ...string) (string, map[string]string) {
	more := map[string]string{}
	for {
		i := strings.LastIndexByte(text, ';')
		if i < 0 {
			return strings.TrimSpace(text), more
		}
		key, value, ok := strings.Cut(strings.TrimSpace(text[i+1:]), "=")
		if !ok || !slices.Contains(known, key) {
			return strings.TrimSpace(text), more
		}
		if _, twice := more[key]; !twice {
			more[key] = value
		}
		text = text[:i]
	}
}

// readChecks reads the checks of all kinds; they are set together, in the order of these flags.
func readChecks(c *cli.Context, out *groupChange) error {
	var checks []api.GroupCheck
	given := false
	for _, flag := range []string{"check-http", "check-tcp", "check-command", "check-promql"} {
		given = given || c.IsSet(flag)
		for _, text := range c.StringSlice(flag) {
			check, err := readCheck(flag, text)
			if err != nil {
				return err
			}
			checks = append(checks, check)
		}
	}
	if given {
		out.add(func(g *api.Group) { g.Checks = checks })
	}
	return nil
}

func readCheck(flag, text string) (api.GroupCheck, error) {
	target, more := additions(text, "when", "timeout")
	check := api.GroupCheck{When: more["when"]}
	if value, ok := more["timeout"]; ok {
		if err := readSpan(value, &check.Timeout); err != nil {
			return check, usagef("--%s %q: timeout: %v", flag, text, err)
		}
	}
	switch flag {
	case "check-http":
		check.HTTP = target
	case "check-tcp":
		check.TCP = target
	case "check-command":
		check.Command = target
	case "check-promql":
		url, query, _ := strings.Cut(target, " ")
		if query = strings.TrimSpace(query); query == "" {
			return check, usagef("--check-promql %q: want a URL, a space and a query: 'http://prometheus:9090 ALERTS{alertstate=\"firing\"}'", text)
		}
		check.PromQL = &api.GroupPromQL{URL: url, Query: query}
	}
	return check, nil
}

// checkText is a check as its flag takes it.
func checkText(check api.GroupCheck) string {
	text := cmp.Or(check.HTTP, check.TCP, check.Command)
	switch {
	case check.PromQL != nil:
		text = "promql " + check.PromQL.URL + " " + check.PromQL.Query
	case check.HTTP != "":
		text = "http " + text
	case check.TCP != "":
		text = "tcp " + text
	default:
		text = "command " + text
	}
	if check.When != "" {
		text += "; when=" + check.When
	}
	if check.Timeout != 0 {
		text += "; timeout=" + check.Timeout.String()
	}
	return text
}

// stageTexts are a group's stages as --stage takes them.
func stageTexts(g api.Group) []string {
	var out []string
	for _, s := range g.Stages {
		text := s.Selector
		if s.Max.Given {
			text += "; max=" + s.Max.String()
		}
		if s.Soak != 0 {
			text += "; soak=" + s.Soak.String()
		}
		out = append(out, text)
	}
	return out
}
