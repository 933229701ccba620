package daemon

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"

	"flotilla/agent/systemd"
	"flotilla/api"
	"flotilla/cluster"
	"flotilla/members"
)

// local is what this daemon says of itself without the store.
func (d *Daemon) local() api.Local {
	s := d.agent.State()
	out := api.Local{
		Host: string(d.host), Name: d.opt.Config.Name, Version: d.opt.Version,
		Boot:   d.boot(),
		Frozen: s.Frozen, StoreOut: s.Away, Message: s.Problem,
	}
	for _, why := range []string{s.Taken, s.Waiting} {
		if out.Message == "" {
			out.Message = why
		}
	}
	return out
}

// boot is the present run of this host. A soft reboot starts the daemon anew too.
func (d *Daemon) boot() cluster.Boot {
	b := cluster.Boot{ID: d.info.Boot}
	if r := d.info.Reboot; r != nil {
		b.Soft = r.Soft
	}
	return b
}

// remembered is the store that this host's agent belongs to; frozen says that it does
// not follow what is there now.
func (d *Daemon) remembered() (known cluster.Identity, frozen, ok bool) {
	s := d.agent.State()
	return s.Store, s.Frozen != "", s.Store.ID != ""
}

// logOptions says what to read of the journal; unit "" is the daemons' own services, whose
// lines "flotilla logs HOST" shows.
func logOptions(unit string, lines int, follow bool) systemd.LogOptions {
	opt := systemd.LogOptions{Unit: unit, Lines: lines, Follow: follow}
	if unit == "" {
		opt.Unit, opt.Also = members.ServiceAgent, []string{members.ServiceEtcd}
	}
	if lines == 0 {
		opt.Lines = -1
	}
	return opt
}

// has says whether this host's agent knows of a unit, by orders or because it runs.
func (d *Daemon) has(name cluster.Unit) bool {
	_, ok := d.agent.Statuses()[name]
	return ok
}

// logs reads this host's journal; unit "" is the daemons' own lines.
func (d *Daemon) logs(ctx context.Context, unit string, lines int, follow bool, emit func(api.LogEntry) error) error {
	for e, err := range d.journal.Logs(ctx, logOptions(unit, lines, follow)) {
		if err != nil {
			return err
		}
		entry := api.LogEntry{
			Time: e.Time, Host: d.opt.Config.Name, Unit: e.Unit, PID: e.PID, Priority: e.Priority,
			Message: strings.ToValidUTF8(string(e.Message), "\ufffd"),
		}
		if err := emit(entry); err != nil {
			return err
		}
	}
	return nil
}

// hostInfo gathers what the agent reports of its host.
func hostInfo(ctx context.Context, m *systemd.Manager, opt Options) (cluster.HostInfo, error) {
	boot, err := systemd.BootID()
	if err != nil {
		return cluster.HostInfo{}, err
	}
	version, err := m.Version(ctx)
	if err != nil {
		return cluster.HostInfo{}, fmt.Errorf("ask systemd for its version: %w", err)
	}
	soft, err := m.SoftReboots(ctx)
	if err != nil {
		return cluster.HostInfo{}, fmt.Errorf("ask systemd for its soft reboots: %w", err)
	}
	facts, err := systemd.ReadFacts(ctx)
	if err != nil {
		opt.Log.Warn("some facts of this host are unknown", "err", err)
	}
	info := cluster.HostInfo{
		Boot: boot, Name: opt.Config.Name, Version: opt.Version, OS: facts.OS, Kernel: facts.Kernel, Systemd: version,
		Address: net.JoinHostPort(opt.Config.Address, strconv.Itoa(opt.Config.APIPort)),
		CPUs:    facts.CPUs, Memory: int64(facts.Memory), Labels: opt.Config.Labels, Runtimes: facts.Runtimes,
		Reboot: &cluster.RebootReport{Soft: soft, Only: opt.Config.Only == members.OnlyReboots},
	}
	reserve, err := cluster.ParseReserve(cmp.Or(opt.Reserve, opt.Config.Reserve))
	if err != nil {
		return cluster.HostInfo{}, fmt.Errorf("memory that units may not have: %w", err)
	}
	if info.Memory > 0 {
		info.Reserved = reserve.Of(info.Memory)
	}
	if info.Memory > 0 && info.Reserved >= info.Memory {
		opt.Log.Warn("no memory is left for units that ask for some: less should be reserved", "memory", info.Memory, "reserved", info.Reserved)
	}
	return info, nil
}
