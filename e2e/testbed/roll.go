package testbed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"flotilla/cluster"
	"flotilla/e2e/load"
)

// Rolled is what became of a reboot of every host while requests were sent.
type Rolled struct {
	Load    load.Report
	Hosts   int
	Records []cluster.Record // of each host, in the order in which they went
	Took    time.Duration    // from the command to its end
}

// Failed says what a roll did that it should not, nil = nothing: a request failed, a host is in the boot it was in,
// or one went before the one before it was done.
func (r Rolled) Failed() (err error) {
	if r.Load.Failures() > 0 || r.Load.Sent == 0 {
		err = fmt.Errorf("%v:\n%s", r.Load, strings.Join(r.Load.Samples, "\n"))
	}
	if len(r.Records) != r.Hosts {
		err = errors.Join(err, fmt.Errorf("the history has %d reboots, want %d", len(r.Records), r.Hosts))
	}
	for i, now := range r.Records {
		if now.Outcome != cluster.PhaseDone {
			err = errors.Join(err, fmt.Errorf("the reboot of %s ended as %s: %s", now.Name, now.Outcome, now.Reason))
		}
		if i > 0 && now.Began.Before(r.Records[i-1].Ended) {
			err = errors.Join(err, fmt.Errorf("%s began at %s, before %s was done at %s", now.Name, now.Began, r.Records[i-1].Name, r.Records[i-1].Ended))
		}
	}
	return err
}

// Seconds says how long each host took, from when its units began to leave until it was well.
func (r Rolled) Seconds() string {
	var words []string
	for _, h := range r.Records {
		words = append(words, fmt.Sprintf("%s %.1fs", h.Name, h.Ended.Sub(h.Began).Seconds()))
	}
	return strings.Join(words, ", ")
}

// Roll reboots every host, as a user would, while requests are sent to the instances 1 to n of a family of
// web servers. It returns when the command does.
func (b *Bed) Roll(ctx context.Context, family string, n int) (r Rolled, err error) {
	r.Hosts = len(b.Hosts)
	before, err := b.Boots()
	if err != nil {
		return r, err
	}
	began := time.Now()
	g, err := b.Load(ctx, family, n)
	if err != nil {
		return r, err
	}
	_, _, err = b.CLI(ctx, b.Hosts[0], "reboot", "--all", "--reason=everybody shall")
	r.Took, r.Load = time.Since(began), g.Stop()
	if err != nil {
		return r, err
	}
	after, err := b.Boots()
	if err != nil {
		return r, err
	}
	for _, h := range b.Hosts {
		if before[h.Name()] == after[h.Name()] {
			err = errors.Join(err, fmt.Errorf("%s is in the boot it was in", h.Name()))
		}
	}
	c, failed := Client(b.Hosts[0])
	if failed != nil {
		return r, errors.Join(err, failed)
	}
	failed = c.History(ctx, "", len(b.Hosts), func(one cluster.Record) error { r.Records = append(r.Records, one); return nil })
	slices.SortFunc(r.Records, func(a, b cluster.Record) int { return a.Began.Compare(b.Began) })
	return r, errors.Join(err, failed)
}

// Boots are the ids of the boots that the hosts are in, by their names.
func (b *Bed) Boots() (map[string]string, error) {
	out := map[string]string{}
	for _, h := range b.Hosts {
		boot, err := h.BootID()
		if err != nil {
			return nil, err
		}
		out[h.Name()] = boot
	}
	return out, nil
}
