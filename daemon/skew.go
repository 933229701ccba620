package daemon

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"flotilla/cluster"
)

const (
	skewTick  = time.Minute     // between two looks at the leader's clock; a host that was never heard asks at once
	skewShown = 5 * time.Second // what is less counts for nothing: an answer tells whole seconds
	skewStep  = 2 * time.Second // by how much what is shown must change to be written anew
)

// skewOf is how far the host's clock is from another one's, by an answer with a Date that was asked for at sent and came at
// got: zero if that is within skewShown.
func skewOf(date, sent, got time.Time) time.Duration {
	here := sent.Add(got.Sub(sent) / 2)
	off := here.Sub(date.Add(500 * time.Millisecond)) // a Date leaves the part of its second out
	if slack := skewShown + got.Sub(sent)/2; off.Abs() <= slack {
		return 0
	}
	return off.Round(time.Second)
}

// watchClock keeps what this host says of its clock true, measured against the leader's. The leader's own is the measure.
func (d *Daemon) watchClock(ctx context.Context) error {
	tick := time.NewTimer(0)
	defer tick.Stop()
	var said time.Duration
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		off, err := d.skew(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			d.log.Debug("cannot compare this host's clock with the leader's", "err", err)
		case err == nil && (off == 0) != (said == 0), err == nil && (off-said).Abs() >= skewStep:
			said = off
			d.agent.ChangeInfo(func(info *cluster.HostInfo) { info.Reboot = withSkew(info.Reboot, off) })
			if off != 0 {
				d.log.Warn("this host's clock is not the leader's: no reboot is granted", "skew", off)
			}
		}
		tick.Reset(skewTick + rand.N(skewTick/10))
	}
}

// withSkew is a report with another skew.
func withSkew(r *cluster.RebootReport, off time.Duration) *cluster.RebootReport {
	var next cluster.RebootReport
	if r != nil {
		next = *r
	}
	next.Skew = off
	return &next
}

// skew asks the leader for its time.
func (d *Daemon) skew(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	host, address := d.Leader(ctx)
	switch {
	case address == "":
		return 0, errors.New("there is no leader")
	case host == d.host:
		return 0, nil
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+"/v1/version", http.NoBody)
	if err != nil {
		return 0, err
	}
	sent := time.Now()
	answer, err := d.transport.RoundTrip(request)
	if err != nil {
		return 0, err
	}
	got := time.Now()
	if err := answer.Body.Close(); err != nil {
		return 0, err
	}
	date, err := http.ParseTime(answer.Header.Get("Date"))
	if err != nil {
		return 0, fmt.Errorf("the leader's answer has no date: %w", err)
	}
	return skewOf(date, sent, got), nil
}
