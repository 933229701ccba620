package main

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"flotilla/api"
)

func rebootCommand() *cli.Command {
	reason := &cli.StringFlag{Name: "reason", Usage: "why, for those who look later"}
	return &cli.Command{
		Name: "reboot", ArgsUsage: "HOST...", Category: groupHosts, Usage: "reboot hosts, one after the other as their groups allow, and follow it", Action: reboot,
		Flags: append(append(endpointFlags(), choiceFlags()...), reason,
			&cli.BoolFlag{Name: "now", Usage: "windows and freezes do not hold it up; units, slots and checks do"},
			&cli.BoolFlag{Name: "soft", Usage: "only restart systemd and what it runs, not the kernel"},
			&cli.BoolFlag{Name: "no-wait", Aliases: []string{"no-block"}, Usage: "return once the requests are durable"},
			&cli.DurationFlag{Name: "timeout", Usage: "how long to follow, such as 30m; 0 = until all are done"}),
		Subcommands: []*cli.Command{
			{Name: "status", ArgsUsage: "[HOST]", Usage: "where reboots stand, and what they wait for", Action: rebootStatus, Flags: append(listFlags(),
				&cli.BoolFlag{Name: "watch", Usage: "go on with what changes"})},
			{Name: "explain", ArgsUsage: "HOST...", Usage: "why a host reboots, or does not: what flotilla explain says of it", Action: rebootExplain, Flags: append(endpointFlags(),
				&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "wide, json or yaml"})},
			{Name: "cancel", ArgsUsage: "HOST...", Usage: "take back what was asked of hosts that do not reboot yet", Action: rebootCancel, Flags: append(endpointFlags(), choiceFlags()...)},
			{Name: "freeze", Usage: "let no host begin to reboot", Action: rebootFreeze, Flags: append(append(endpointFlags(), frozenFlags()...), reason,
				&cli.StringFlag{Name: "until", Usage: "when it ends by itself: 2h, or 2026-12-27T06:00:00+01:00; without it: when it is thawed"})},
			{Name: "thaw", Usage: "end a freeze", Action: rebootThaw, Flags: append(endpointFlags(), frozenFlags()...)},
			{Name: "unlock", ArgsUsage: "HOST", Usage: "take the slot of a host that does not come back or is not well, so that others go on", Action: rebootUnlock, Flags: append(endpointFlags(), reason)},
			{Name: "history", ArgsUsage: "[HOST]", Usage: "what became of reboots, newest first", Action: rebootHistory, Flags: append(listFlags(),
				&cli.IntFlag{Name: "limit", Value: 50, Usage: "how many at most; 0 = all that are kept"})},
			{Name: "webhook", ArgsUsage: "URL|--off", Usage: "post every outcome to a URL", Action: rebootWebhook, Flags: append(endpointFlags(),
				&cli.BoolFlag{Name: "off", Usage: "post nothing any more"})},
		},
	}
}

func frozenFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "group", Usage: "only the hosts of this group"},
		&cli.StringFlag{Name: "host", Usage: "only this host"},
	}
}

// reboot asks hosts to reboot and follows them.
func reboot(c *cli.Context) error {
	choice, err := readChoice(c)
	if err != nil {
		return err
	}
	if c.Duration("timeout") < 0 {
		return usagef("--timeout %s: want a positive duration such as 30m, or 0 for: until all are done", c.Duration("timeout"))
	}
	if c.Bool("no-wait") && c.IsSet("timeout") {
		return usagef("--no-wait and --timeout exclude one another: give one of them")
	}
	cl, err := client(c)
	if err != nil {
		return err
	}
	hosts, err := choice.hosts(c.Context, cl)
	if err != nil {
		return err
	}
	named := len(choice.words) > 0
	if hosts, err = present(c, hosts, named); err != nil {
		return err
	}
	f := newRoll(c, cl)
	for _, h := range hosts {
		f.ask(h)
	}
	if c.Bool("no-wait") {
		return f.outcome()
	}
	return f.follow()
}

// present are the hosts that can be asked. One that was named and cannot is an error; of those that a selector or
// --all took it is told that they are left out.
func present(c *cli.Context, hosts []api.Host, named bool) (out []api.Host, err error) {
	for _, h := range hosts {
		switch {
		case h.State == api.HostAlive:
			out = append(out, h)
		case !named:
			fmt.Fprintf(c.App.ErrWriter, "flotilla: %s is %s and is left out\n", h.Name, h.State)
		case h.State == api.HostRemoved:
			err = errors.Join(err, fmt.Errorf("%s was removed from the cluster (flotilla host restore %s takes it back)", h.Name, h.Name))
		default:
			err = errors.Join(err, fmt.Errorf("%s is absent: nobody is there to reboot it (flotilla explain %s)", h.Name, h.Name))
		}
	}
	if err == nil && len(out) == 0 {
		err = errors.New("all of these hosts are away (flotilla list-machines shows them)")
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ask makes the request durable for one host. All hosts of a command share the id that the first one got.
func (f *roll) ask(h api.Host) {
	c := f.c
	ask := api.RebootAsk{Now: c.Bool("now"), Soft: c.Bool("soft"), Reason: c.String("reason"), ID: f.id}
	got, err := f.cl.PatchHost(c.Context, h.ID, api.HostPatch{Reboot: api.Set(ask)})
	if err != nil {
		f.fail(h.Name, err.Error())
		return
	}
	t := target{name: got.Name}
	if w := got.Reboot; w != nil && w.ID >= got.Served {
		t.id = w.ID
		f.id = cmp.Or(f.id, w.ID)
	}
	f.open[got.ID], f.from = &t, max(f.from, got.Revision)
	if c.Bool("no-wait") {
		fmt.Fprintf(c.App.Writer, "%s: %s\n", got.Name, askedText(got))
	}
}

// askedText says what became of a request.
func askedText(h api.Host) string {
	if h.Phase.Holds() {
		return fmt.Sprintf("reboots already: %s", h.Phase)
	}
	return "asked to reboot"
}

// rebootCancel takes requests back.
func rebootCancel(c *cli.Context) error {
	choice, err := readChoice(c)
	if err != nil {
		return err
	}
	cl, err := client(c)
	if err != nil {
		return err
	}
	hosts, err := choice.hosts(c.Context, cl)
	if err != nil {
		return err
	}
	var failed []error
	for _, h := range hosts {
		if _, err := cl.PatchHost(c.Context, h.ID, api.HostPatch{Reboot: api.Null[api.RebootAsk]()}); err != nil {
			failed = append(failed, err)
			continue
		}
		fmt.Fprintf(c.App.Writer, "%s: not asked to reboot any more\n", h.Name)
	}
	return errors.Join(failed...)
}

// rebootUnlock takes a host's slot away.
func rebootUnlock(c *cli.Context) error {
	if c.NArg() != 1 {
		return usagef("reboot unlock needs one host: flotilla reboot unlock h1 --reason 'its disk died'")
	}
	if strings.TrimSpace(c.String("reason")) == "" {
		return usagef("reboot unlock needs --reason: it stays in the history")
	}
	cl, err := client(c)
	if err != nil {
		return err
	}
	h, err := cl.PatchHost(c.Context, c.Args().First(), api.HostPatch{Unlock: api.Set(api.UnlockAsk{Reason: c.String("reason")})})
	if err != nil {
		return err
	}
	fmt.Fprintf(c.App.Writer, "%s: its slot is taken away; the others go on\n", h.Name)
	return nil
}

// rebootWebhook sets where outcomes are posted to.
func rebootWebhook(c *cli.Context) error {
	hook := c.Args().First()
	switch {
	case c.Bool("off") && hook != "":
		return usagef("reboot webhook takes a URL, or --off: give one of them")
	case !c.Bool("off") && hook == "":
		return usagef("reboot webhook needs a URL: flotilla reboot webhook https://example.com/hook (or --off)")
	}
	cl, err := client(c)
	if err != nil {
		return err
	}
	p, err := cl.PatchPolicy(c.Context, api.PolicyPatch{Webhook: &hook})
	if err != nil {
		return err
	}
	if p.Webhook == "" {
		fmt.Fprintln(c.App.Writer, "outcomes are posted nowhere")
		return nil
	}
	fmt.Fprintf(c.App.Writer, "outcomes are posted to %s\n", p.Webhook)
	return nil
}
