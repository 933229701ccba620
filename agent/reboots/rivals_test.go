package reboots

import (
	"context"
	"strings"
	"testing"
	"time"
)

type units map[string]bool

func (u units) Active(_ context.Context, names []string) (map[string]bool, error) {
	out := map[string]bool{}
	for _, n := range names {
		out[n] = u[n]
	}
	return out, nil
}

// TestRivals: what else reboots a host is named with the command that ends it, and nothing else is.
func TestRivals(t *testing.T) {
	const fleetLock = "[updates]\nstrategy = \"fleet_lock\"\n[updates.fleet_lock]\nbase_url = \"http://127.0.0.1:3333/\"\n"
	for _, c := range []struct {
		what  string
		units units
		files map[string]string
		want  string // names of rivals
	}{
		{"nothing", nil, nil, ""},
		{"locksmithd", units{"locksmithd.service": true}, nil, "locksmithd.service"},
		{"Zincati as shipped", units{"zincati.service": true}, map[string]string{"usr/lib/zincati/config.d/50-updates.toml": "[updates]\nenabled = true\n"}, "zincati.service"},
		{"Zincati with us", units{"zincati.service": true}, map[string]string{"etc/zincati/config.d/90-flotilla.toml": fleetLock}, ""},
		{"Zincati with a later file", units{"zincati.service": true}, map[string]string{"etc/zincati/config.d/90-flotilla.toml": fleetLock, "run/zincati/config.d/99-now.toml": "[updates]\nstrategy = \"immediate\" # now\n"}, "zincati.service"},
		{"Zincati off", units{"zincati.service": true}, map[string]string{"etc/zincati/config.d/a.toml": "[updates]\nenabled = false\n"}, ""},
		{"Zincati, another section", units{"zincati.service": true}, map[string]string{"etc/zincati/config.d/a.toml": "[identity]\nstrategy = \"fleet_lock\"\n"}, "zincati.service"},
		{"Zincati, a file that it does not read", units{"zincati.service": true}, map[string]string{"etc/zincati/config.d/a.yaml": fleetLock}, "zincati.service"},
		{"Zincati that does not run", nil, map[string]string{"usr/lib/zincati/config.d/a.toml": ""}, ""},
		{"unattended-upgrades", nil, map[string]string{"usr/bin/unattended-upgrade": "", "etc/apt/apt.conf.d/50unattended-upgrades": "// x\nUnattended-Upgrade::Automatic-Reboot \"true\";\n"}, "unattended-upgrades"},
		{"the same in a block", nil, map[string]string{"usr/bin/unattended-upgrade": "", "etc/apt/apt.conf.d/50u": "Unattended-Upgrade {\n Automatic-Reboot \"yes\";\n};\n"}, "unattended-upgrades"},
		{"in a comment", nil, map[string]string{"usr/bin/unattended-upgrade": "", "etc/apt/apt.conf.d/50u": "//Unattended-Upgrade::Automatic-Reboot \"true\";\n/* Automatic-Reboot \"true\" */\n# Automatic-Reboot \"true\"\n"}, ""},
		{"another option", nil, map[string]string{"usr/bin/unattended-upgrade": "", "etc/apt/apt.conf.d/50u": "Unattended-Upgrade::Automatic-Reboot-WithUsers \"true\";\nUnattended-Upgrade::Automatic-Reboot-Time \"02:00\";\n"}, ""},
		{"switched off later", nil, map[string]string{"usr/bin/unattended-upgrade": "", "etc/apt/apt.conf.d/50u": "Unattended-Upgrade::Automatic-Reboot \"true\";\n", "etc/apt/apt.conf.d/99flotilla": "Unattended-Upgrade::Automatic-Reboot \"false\";\n"}, ""},
		{"not installed", nil, map[string]string{"etc/apt/apt.conf.d/50u": "Unattended-Upgrade::Automatic-Reboot \"true\";\n"}, ""},
		{"rebootmgr", units{"rebootmgr.service": true}, nil, "rebootmgr.service"},
		{"rebootmgr off", units{"rebootmgr.service": true}, map[string]string{"etc/rebootmgr.conf": "[rebootmgr]\nstrategy=off\n"}, ""},
		{"kured", units{"kured.service": true}, map[string]string{"proc/7/comm": "kured\n"}, "kured.service"},
		{"kured in a container", nil, map[string]string{"proc/7/comm": "kured\n", "proc/8/comm": "sh\n", "proc/version": "Linux"}, "kured"},
		{"sysupdate", units{"systemd-sysupdate-reboot.timer": true}, nil, "systemd-sysupdate-reboot.timer"},
		{"dnf-automatic", units{"dnf-automatic.timer": true}, map[string]string{"etc/dnf/automatic.conf": "[commands]\nreboot = when-needed\n"}, "dnf-automatic"},
		{"dnf-automatic that never reboots", units{"dnf-automatic.timer": true}, map[string]string{"etc/dnf/automatic.conf": "reboot = never\n"}, ""},
		{"dnf-automatic without its timer", nil, map[string]string{"etc/dnf/automatic.conf": "reboot = when-needed\n"}, ""},
		{"dnf5-automatic", units{"dnf5-automatic.timer": true}, map[string]string{"etc/dnf/automatic.conf": "reboot = when-changed\n"}, "dnf5-automatic"},
	} {
		root := t.TempDir()
		write(t, root, c.files)
		n := NewNeeds(Options{Root: root, Units: c.units, Uptime: uptime(time.Hour)})
		need, rivals, problem := n.Look(t.Context())
		var names []string
		for _, r := range rivals {
			names = append(names, r.Name)
			if r.Why == "" || r.Mend == "" {
				t.Errorf("%s: %+v lacks its reason or its command", c.what, r)
			}
		}
		if got := strings.Join(names, " "); got != c.want || problem != "" || need.State.String() != "no" {
			t.Errorf("%s: rivals = %q (%v, %q), want %q", c.what, got, need.State, problem, c.want)
		}
	}
}
