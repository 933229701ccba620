package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"flotilla/agent/systemd"
	"flotilla/cluster"
	"flotilla/cluster/store"
	"flotilla/members"
)

// Leave tells the cluster that this host leaves it: no unit comes here any more, nobody waits for
// the host, and it may join again at once. Call it when the agent here has ended, with a
// configuration without this host's etcd member. unitsRun says that units of the cluster go on running
// here: then the host's sign of life lapses by itself. It may be repeated.
func Leave(ctx context.Context, c members.Config, unitsRun bool, log *slog.Logger) error {
	boot, err := systemd.BootID()
	if err != nil {
		return err
	}
	backend, err := dialAsHost(ctx, c, log)
	if err != nil {
		return err
	}
	defer backend.Close()
	err = store.New(backend, c.Prefix, store.Options{Log: log}).Leave(ctx, store.Leaving{
		Host: cluster.HostID(c.Host), Boot: boot, UnitsRun: unitsRun,
		By: cluster.Note{Who: "root@" + c.Name, When: time.Now().UTC(), Why: "flotilla leave"},
	})
	var taken *store.TakenError
	if errors.As(err, &taken) {
		return fmt.Errorf("%w: a copy of this host lives, or its own life before the last boot has not ended yet", err)
	}
	return err
}
