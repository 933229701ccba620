//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"flotilla/cluster"
)

// TestSoftReboot: only systemd starts anew. The boot id stays, the count tells that the host is back, and its units run again.
func TestSoftReboot(t *testing.T) {
	ctx := scenario(t)
	t.Cleanup(func() { quiet(t) })
	since := revision(t, ctx)
	victim := others(leader(t, ctx, bed.Hosts[0]))[0]
	before := boots(t)
	count := func(ctx context.Context) (string, error) {
		out, err := victim.Exec(ctx, nil, "systemctl", "show", "--property=SoftRebootsCount", "--value")
		return strings.TrimSpace(out), err
	}
	was, err := count(ctx)
	if err != nil {
		t.Fatal(err)
	}
	flotilla(t, ctx, "reboot", "--soft", "--no-wait", "--reason=new libraries", victim.Name())
	awaitThat(t, ctx, "another count of soft reboots", func(ctx context.Context) error {
		now, err := count(ctx)
		if err == nil && now == was {
			err = fmt.Errorf("it is %q", now)
		}
		return err
	})
	done := awaitRecord(t, ctx, victim, since, func(r cluster.Record) bool { return r.Outcome == cluster.PhaseDone })
	t.Logf("away for %.1f s", done.Away)
	rebooted(t, before)
	running(t, ctx, bed.Hosts[0])
}
