package reboots

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"flotilla/cluster"
)

// suspects are the units that may reboot a host, or run what does.
func suspects() []string {
	return []string{
		"locksmithd.service", "zincati.service", "rebootmgr.service", "kured.service", "systemd-sysupdate-reboot.timer",
		"dnf-automatic.timer", "dnf-automatic-install.timer", "dnf5-automatic.timer",
	}
}

// rivals are what else may reboot this host, each with the command that ends it. An error is about units; what files
// and processes say is found all the same.
func (n *Needs) rivals(ctx context.Context) ([]cluster.Rival, error) {
	var active map[string]bool
	var err error
	if n.opt.Units != nil {
		active, err = n.opt.Units.Active(ctx, suspects())
	}
	var out []cluster.Rival
	add := func(found bool, name, why, mend string) {
		if found {
			out = append(out, cluster.Rival{Name: name, Why: why, Mend: mend})
		}
	}
	add(active["locksmithd.service"], "locksmithd.service",
		"locksmithd reboots this host after an update, without a lock unless it was told to take one", "systemctl mask --now locksmithd.service")
	add(active["zincati.service"] && n.zincatiAlone(), "zincati.service",
		"Zincati reboots this host after an update and asks nobody: its strategy is not fleet_lock", zincatiMend)
	add(n.unattended(), "unattended-upgrades",
		"unattended-upgrades reboots this host: Automatic-Reboot is true", `echo 'Unattended-Upgrade::Automatic-Reboot "false";' > /etc/apt/apt.conf.d/99flotilla`)
	add(active["rebootmgr.service"] && !n.has("/etc/rebootmgr.conf", rebootmgrOff), "rebootmgr.service",
		"rebootmgr reboots this host in a window of its own", "systemctl disable --now rebootmgr.service")
	add(active["kured.service"], "kured.service", "kured reboots this host by a lock of its own", "systemctl disable --now kured.service")
	add(!active["kured.service"] && n.runs("kured"), "kured",
		"kured runs in a container here and reboots this host by a lock of its own", "kubectl -n kube-system delete daemonset kured")
	add(active["systemd-sysupdate-reboot.timer"], "systemd-sysupdate-reboot.timer",
		"systemd-sysupdate reboots this host by a timer", "systemctl disable --now systemd-sysupdate-reboot.timer")
	add((active["dnf-automatic.timer"] || active["dnf-automatic-install.timer"]) && n.has("/etc/dnf/automatic.conf", dnfReboots), "dnf-automatic",
		"dnf-automatic reboots this host after it installed updates", `sed -i 's/^ *reboot *=.*/reboot = never/' /etc/dnf/automatic.conf`)
	add(active["dnf5-automatic.timer"] && (n.has("/etc/dnf/automatic.conf", dnfReboots) || n.has("/etc/dnf/dnf5-plugins/automatic.conf", dnfReboots)), "dnf5-automatic",
		"dnf5-automatic reboots this host after it installed updates", `sed -i 's/^ *reboot *=.*/reboot = never/' /etc/dnf/automatic.conf /etc/dnf/dnf5-plugins/automatic.conf`)
	return out, err
}

// These find a setting in a file that is not ours.
var (
	rebootmgrOff = regexp.MustCompile(`(?m)^\s*strategy\s*=\s*off\s*$`)
	dnfReboots   = regexp.MustCompile(`(?m)^\s*reboot\s*=\s*when-(needed|changed)\s*$`)
	aptReboot    = regexp.MustCompile(`Automatic-Reboot\s+"([^"]*)"`)
	aptComment   = regexp.MustCompile(`/\*(?s:.*?)\*/|(?m:(^|\s)(//|#).*$)`)
	tomlSection  = regexp.MustCompile(`^\s*\[\s*([A-Za-z0-9_.]+)\s*\]`)
	tomlValue    = regexp.MustCompile(`^\s*([A-Za-z0-9_]+)\s*=\s*"?([^"#]*?)"?\s*(#.*)?$`)
)

// has says whether a file matches.
func (n *Needs) has(path string, pattern *regexp.Regexp) bool {
	data, err := os.ReadFile(n.at(path))
	return err == nil && pattern.Match(data)
}

// unattended says whether unattended-upgrades is installed and reboots. The last file wins.
func (n *Needs) unattended() bool {
	if _, err := os.Stat(n.at("/usr/bin/unattended-upgrade")); err != nil {
		return false
	}
	reboots := false
	for _, file := range n.files("/etc/apt/apt.conf.d") {
		if name := filepath.Base(file); strings.Contains(name, ".") && filepath.Ext(name) != ".conf" {
			continue // apt reads no others
		}
		reboots = aptReboots(file, reboots)
	}
	return aptReboots(n.at("/etc/apt/apt.conf"), reboots)
}

// aptReboots is whether updates reboot the host after a file was read.
func aptReboots(file string, before bool) bool {
	data, err := os.ReadFile(file)
	if err != nil {
		return before
	}
	for _, m := range aptReboot.FindAllSubmatch(aptComment.ReplaceAll(data, nil), -1) {
		before = slices.Contains([]string{"true", "yes", "with", "on", "enable", "1"}, strings.ToLower(string(m[1])))
	}
	return before
}

// files are those of a folder, by name.
func (n *Needs) files(dir string) []string {
	entries, err := os.ReadDir(n.at(dir))
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		if !e.IsDir() {
			out = append(out, filepath.Join(n.at(dir), e.Name()))
		}
	}
	return out
}

// zincatiMend points Zincati at the FleetLock server of this host's flotilla.
const zincatiMend = `printf '[updates]\nstrategy = "fleet_lock"\n[updates.fleet_lock]\nbase_url = "http://127.0.0.1:3333/"\n' > /etc/zincati/config.d/90-flotilla.toml && systemctl restart zincati.service`

// zincatiAlone says whether Zincati updates this host without asking a FleetLock server. Its files count by name; of two with the
// same name the one in /run wins, then the one in /etc.
func (n *Needs) zincatiAlone() bool {
	files := map[string]string{}
	for _, dir := range []string{"/usr/lib/zincati/config.d", "/etc/zincati/config.d", "/run/zincati/config.d"} {
		for _, f := range n.files(dir) {
			if filepath.Ext(f) == ".toml" {
				files[filepath.Base(f)] = f
			}
		}
	}
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	updates := map[string]string{"enabled": "true", "strategy": "immediate"}
	for _, name := range names {
		readUpdates(files[name], updates)
	}
	return updates["enabled"] != "false" && updates["strategy"] != "fleet_lock"
}

// readUpdates takes in the plain values of a TOML file's section [updates].
func readUpdates(file string, into map[string]string) {
	data, err := os.ReadFile(file)
	if err != nil {
		return
	}
	section := ""
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		if m := tomlSection.FindStringSubmatch(lines.Text()); m != nil {
			section = m[1]
		} else if m := tomlValue.FindStringSubmatch(lines.Text()); m != nil && section == "updates" {
			into[m[1]] = m[2]
		}
	}
}

// runs says whether a process of that name runs on the host, in a container or not.
func (n *Needs) runs(name string) bool {
	entries, err := os.ReadDir(n.at("/proc"))
	if err != nil {
		return false
	}
	for _, e := range entries {
		if e.Name()[0] < '0' || e.Name()[0] > '9' {
			continue
		}
		comm, err := os.ReadFile(filepath.Join(n.at("/proc"), e.Name(), "comm"))
		if err == nil && strings.TrimSpace(string(comm)) == name {
			return true
		}
	}
	return false
}
