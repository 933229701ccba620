package systemd

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

// Once is a command that systemd runs as a service of its own, in memory only.
type Once struct {
	Description string
	Command     []string      // an absolute path and its arguments, as they are: nothing in them is expanded
	Environment []string      // KEY=value
	Limit       time.Duration // after which it is killed and has failed; 0 = none
	Forget      bool          // one that failed vanishes, too
}

// RunOnce starts a service that exists in memory only, waits until its command has ended
// and returns how its job ended. It is nobody's child: the end of ctx, or of
// this process, ends only the wait. A service that ended well vanishes; one that failed
// stays as it is until ResetFailed, and Start runs its command again. A name that exists
// gives ErrExists; Start then waits for the run that is under way.
func (m *Manager) RunOnce(ctx context.Context, name string, o Once) (outcome string, err error) {
	outcome, err = m.transient(ctx, name, onceProperties(o), []auxiliary{})
	if err != nil {
		return "", fmt.Errorf("run %s: %w", name, err)
	}
	return outcome, nil
}

func onceProperties(o Once) []property {
	limit := ^uint64(0) // infinity
	if o.Limit > 0 {
		limit = uint64(o.Limit.Microseconds())
	}
	collect := "inactive"
	if o.Forget {
		collect = "inactive-or-failed"
	}
	return []property{
		{"Description", dbus.MakeVariant(o.Description)},
		{"CollectMode", dbus.MakeVariant(collect)},
		{"Type", dbus.MakeVariant("oneshot")},
		{"ExecStart", dbus.MakeVariant([]command{{o.Command[0], literal(o.Command), false}})},
		{"Environment", dbus.MakeVariant(append([]string{}, o.Environment...))},
		{"TimeoutStartUSec", dbus.MakeVariant(limit)},
		{"StartLimitIntervalUSec", dbus.MakeVariant(uint64(0))},
	}
}

// literal keeps systemd from putting variables of the environment into a command's words.
func literal(words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = strings.ReplaceAll(w, "$", "$$")
	}
	return out
}

// transient starts a unit that exists in memory only, and waits for its job.
func (m *Manager) transient(ctx context.Context, name string, properties []property, others []auxiliary) (outcome string, err error) {
	b, err := m.bus(ctx)
	if err != nil {
		return "", err
	}
	b.waiters.begin()
	defer b.waiters.end()
	var path dbus.ObjectPath
	call := b.root.CallWithContext(ctx, managerFace+".StartTransientUnit", 0, name, "fail", properties, others)
	if err := call.Store(&path); err != nil {
		return "", translate(err)
	}
	return b.await(ctx, b.waiters.add(path))
}
