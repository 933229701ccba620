package fake

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"flotilla/agent/systemd"
	"flotilla/agent/systemd/systemdtest"
)

func TestContract(t *testing.T) {
	for what, opts := range map[string]Options{
		"instant": {},
		"slow": {
			Seed: 7, StartTime: Range{0, 300 * time.Millisecond},
			StopTime: Range{0, 200 * time.Millisecond}, ReloadTime: Range{0, 50 * time.Millisecond},
		},
	} {
		for _, c := range systemdtest.Cases() {
			t.Run(what+"/"+c.Name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { c.Run(t, contractHost(New(opts))) })
			})
		}
	}
}

func contractHost(h *Host) systemdtest.Host {
	h.AddHostUnit("sshd.service", "/usr/lib/systemd/system/sshd.service", "[Service]\nExecStart=/usr/sbin/sshd\n")
	h.AddHostUnit("getty@.service", "/usr/lib/systemd/system/getty@.service", "[Service]\nExecStart=/sbin/agetty\n")
	return systemdtest.Host{
		Manager: h, Dir: h.Dir(), Folder: systemd.RuntimePath, Now: h.Boottime,
		Kill: func(unit string) error {
			if !h.Crash(unit) {
				return fmt.Errorf("%s has no process", unit)
			}
			return nil
		},
		PutForeign: func(name string, data []byte) error { h.Dir().PutForeign(name, data); return nil },
		DelForeign: func(name string) error { h.Dir().DelForeign(name); return nil },
		Login: systemdtest.Login{
			Logind: h.Logind(),
			Block: func(who string) (func(), error) {
				h.Block(who)
				return h.Unblock, nil
			},
			Held: func() (int, error) { return h.Held(), nil },
		},
		HostUnit: "sshd.service", HostOfOurs: "getty@tty7.service",
	}
}
