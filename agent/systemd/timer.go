package systemd

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

// accuracy is how late a transient timer may fire. It is far below what the
// fence allows for, and one timer per host costs no wake-ups worth saving.
const accuracy = time.Millisecond

// property and auxiliary are the D-Bus shapes a(sv) and a(sa(sv)).
type property struct {
	Name  string
	Value dbus.Variant
}

type auxiliary struct {
	Name       string
	Properties []property
}

// command is the D-Bus shape of one ExecStart=.
type command struct {
	Path          string
	Words         []string
	IgnoreFailure bool
}

// StartTransientTimer starts a timer that exists in memory only and starts a unit
// once, when the manager has run for onStartup (see UserspaceTimestamp); an
// instant in the past fires at once. It vanishes when it has fired or is stopped.
// A name that exists gives ErrExists: who re-arms starts one under another name,
// then stops the old one, so that at no time none is armed.
//
// systemd lets a transient timer trigger only the service of its own name. So
// that service is made with it, in memory too: it wants the unit, whose start is
// then enqueued with its own and waits for no process.
func (m *Manager) StartTransientTimer(ctx context.Context, name string, onStartup time.Duration, unit string) error {
	outcome, err := m.transient(ctx, name, timerProperties(onStartup, unit), relay(name, unit))
	if err != nil {
		return fmt.Errorf("start timer %s: %w", name, err)
	}
	if outcome != Done {
		return fmt.Errorf("start timer %s: its job ended with %q", name, outcome)
	}
	return nil
}

func timerProperties(onStartup time.Duration, unit string) []property {
	type base struct {
		Name string
		USec uint64
	}
	instant := base{"OnStartupSec", uint64(max(onStartup, time.Microsecond).Microseconds())}
	return []property{
		{"Description", dbus.MakeVariant("Starts " + unit + " at its instant")},
		{"TimersMonotonic", dbus.MakeVariant([]base{instant})},
		{"AccuracyUSec", dbus.MakeVariant(uint64(accuracy.Microseconds()))},
		{"RemainAfterElapse", dbus.MakeVariant(false)},
		{"CollectMode", dbus.MakeVariant("inactive-or-failed")},
	}
}

// relay is the service between a timer and its unit; none if the unit has the timer's name.
func relay(timer, unit string) []auxiliary {
	service := strings.TrimSuffix(timer, ".timer") + ".service"
	if unit == service {
		return []auxiliary{}
	}
	return []auxiliary{{service, []property{
		{"Description", dbus.MakeVariant("Starts " + unit)},
		{"Type", dbus.MakeVariant("oneshot")},
		{"DefaultDependencies", dbus.MakeVariant(false)},
		{"Wants", dbus.MakeVariant([]string{unit})},
		{"ExecStart", dbus.MakeVariant([]command{{"/bin/true", []string{"/bin/true"}, true}})},
		{"CollectMode", dbus.MakeVariant("inactive-or-failed")},
	}}}
}
