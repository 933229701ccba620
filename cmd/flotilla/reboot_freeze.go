package main

import (
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"flotilla/api"
)

// rebootFreeze holds reboots up: all, or those of a group or host.
func rebootFreeze(c *cli.Context) error {
	until, err := readUntil(c.String("until"), time.Now())
	if err != nil {
		return err
	}
	return setFreeze(c, api.Set(api.FreezeAsk{Until: until, Reason: c.String("reason")}))
}

func rebootThaw(c *cli.Context) error { return setFreeze(c, api.Null[api.FreezeAsk]()) }

// readUntil reads a duration from now, or a time; "" is none.
func readUntil(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return now.Add(d).UTC().Truncate(time.Second), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04", "2006-01-02"} {
		at, err := time.ParseInLocation(layout, text, time.Local)
		if err != nil {
			continue
		}
		if !at.After(now) {
			return time.Time{}, usagef("--until %s: that is over", text)
		}
		return at.UTC(), nil
	}
	return time.Time{}, usagef("--until %s: want a duration such as 2h, a day such as 2026-12-27, or a time such as 2026-12-27T06:00:00+01:00", text)
}

// setFreeze freezes or thaws what the flags name.
func setFreeze(c *cli.Context, ask api.Maybe[api.FreezeAsk]) error {
	group, host := c.String("group"), c.String("host")
	if group != "" && host != "" {
		return usagef("--group and --host exclude one another: give one of them, or none for all hosts")
	}
	cl, err := client(c)
	if err != nil {
		return err
	}
	what := "all hosts"
	switch {
	case group != "":
		what = "group " + group
		err = cl.FreezeGroup(c.Context, group, ask)
	case host != "":
		var h api.Host
		h, err = cl.PatchHost(c.Context, host, api.HostPatch{Freeze: ask})
		what = h.Name
	default:
		_, err = cl.PatchPolicy(c.Context, api.PolicyPatch{Freeze: ask})
	}
	if err != nil {
		return err
	}
	switch f := ask.Value; {
	case f == nil:
		fmt.Fprintf(c.App.Writer, "%s: thawed\n", what)
	case f.Until.IsZero():
		fmt.Fprintf(c.App.Writer, "%s: frozen until it is thawed; what goes down already goes on, what is only drained is given back\n", what)
	default:
		fmt.Fprintf(c.App.Writer, "%s: frozen until %s; what goes down already goes on, what is only drained is given back\n", what, when(f.Until))
	}
	return nil
}

// when is a time as a person reads it here.
func when(t time.Time) string { return t.Local().Format("Mon 2006-01-02 15:04 MST") }
