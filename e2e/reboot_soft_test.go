//go:build e2e

package e2e

import (
	"context"
	"strings"
	"testing"

	"flotilla/cluster"
)

// TestSoftReboot: only systemd starts anew. The boot id stays; systemd's count tells that the host is back.
func TestSoftReboot(t *testing.T) {
	ctx := scenario(t)
	t.Cleanup(func() { quiet(t) })
	since := revision(t, ctx)
	victim := others(leader(t, ctx, bed.Hosts[0]))[0]
	t.Cleanup(func() { // it loses the folder through which this machine reaches the host's daemon
		if err := victim.Reboot(context.Background()); err != nil {
			t.Error(err)
		}
	})
	before := boots(t)
	flotilla(t, ctx, "reboot", "--soft", "--no-wait", "--reason=new libraries", victim.Name())
	done := awaitRecord(t, ctx, victim, since, func(r cluster.Record) bool { return r.Outcome == cluster.PhaseDone })
	t.Logf("away for %.1f s", done.Away)
	rebooted(t, before)
	out, err := victim.Exec(ctx, nil, "systemctl", "show", "--property=SoftRebootsCount", "--value")
	if count := strings.TrimSpace(out); err != nil || count == "" || count == "0" {
		t.Errorf("systemd counts %q soft reboots, %v, want one more", count, err)
	}
}
