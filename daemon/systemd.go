package daemon

import (
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sys/unix"

	"flotilla/agent"
	"flotilla/agent/systemd"
	"flotilla/daemon/doors"
)

// newKiller is nil for the systemd of a user, whose one host has nobody to be fenced from, and
// where the units' control groups are not found.
func newKiller(user bool, log *slog.Logger) agent.Killer {
	if user {
		return nil
	}
	groups, err := systemd.HostGroups()
	if err != nil {
		log.Warn("fenced units are stopped by systemd alone here", "err", err)
		return nil
	}
	return doors.Killer{Groups: groups}
}

// clock is the kernel's: clock_gettime(2).
type clock struct{}

// Boottime is CLOCK_BOOTTIME, which counts suspends.
func (clock) Boottime() time.Duration { return kernelClock(unix.CLOCK_BOOTTIME) }

// Monotonic is CLOCK_MONOTONIC, which systemd's timers follow.
func (clock) Monotonic() time.Duration { return kernelClock(unix.CLOCK_MONOTONIC) }

func kernelClock(id int32) time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(id, &ts); err != nil {
		panic(fmt.Sprintf("clock_gettime(%d): %v", id, err)) // cannot fail on Linux for these clocks
	}
	return time.Duration(ts.Nano())
}

// unitDir opens the folder of our unit files, and knows the host's other ones.
func unitDir(user bool) *systemd.Dir {
	if user {
		return systemd.NewDir(systemd.UserRuntimePath(), systemd.UserUnitPath())
	}
	return systemd.NewDir("/run/systemd/system", systemd.SystemUnitPath())
}
