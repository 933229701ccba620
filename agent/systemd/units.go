package systemd

import (
	"context"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

var validName = regexp.MustCompile(`^[A-Za-z0-9:_.\\-]+(@[A-Za-z0-9:_.\\@-]+)?\.(service|socket|target|timer|path|mount|slice|scope|swap|device|automount)$`)

// Units returns the current state of exactly these units, in their order. One
// that systemd does not know has Load "not-found" and Active "inactive".
func (m *Manager) Units(ctx context.Context, names []string) ([]Unit, error) {
	units := make([]Unit, len(names))
	asked := make([]string, 0, len(names))
	place := make([]int, 0, len(names))
	for i, name := range names {
		units[i] = Unit{Name: name, Load: NotFound, Active: Inactive, Sub: "dead"}
		if validName.MatchString(name) && len(name) < 256 { // systemd leaves invalid names out of its list
			asked, place = append(asked, name), append(place, i)
		}
	}
	if len(asked) == 0 {
		return units, nil
	}
	b, err := m.bus(ctx)
	if err != nil {
		return nil, err
	}
	listed, err := b.list(ctx, asked)
	if err != nil {
		return nil, err
	}
	var failed error
	var requests []request
	for j, l := range listed {
		u := &units[place[j]]
		u.Load, u.Active, u.Sub = l.Load, l.Active, l.Sub
		if u.Load == NotFound && u.Active == Inactive {
			continue
		}
		requests = append(requests, details(l.Path, u, &failed)...)
	}
	b.pipeline(ctx, requests)
	if failed != nil {
		return nil, failed
	}
	return units, nil
}

// listing is one row of ListUnitsByNames.
type listing struct {
	Name, Description, Load, Active, Sub, Following string
	Path                                            dbus.ObjectPath
	JobID                                           uint32
	JobType                                         string
	JobPath                                         dbus.ObjectPath
}

func (b *bus) list(ctx context.Context, names []string) ([]listing, error) {
	var listed []listing
	if err := b.root.CallWithContext(ctx, managerFace+".ListUnitsByNames", 0, names).Store(&listed); err != nil {
		return nil, fmt.Errorf("list %d units: %w", len(names), translate(err))
	}
	if len(listed) != len(names) {
		return nil, fmt.Errorf("list %d units: systemd answered for %d", len(names), len(listed))
	}
	return listed, nil
}

// details are the requests for what the list does not say. Single properties are
// cheaper than all of an interface: systemd reads cgroup files for some.
func details(path dbus.ObjectPath, u *Unit, failed *error) []request {
	get := func(iface, name string, set func(any)) request {
		return request{path, propsFace + ".Get", []any{service + "." + iface, name}, func(call *dbus.Call) {
			var v dbus.Variant
			if err := call.Store(&v); err != nil {
				if *failed == nil {
					*failed = fmt.Errorf("read %s of %s: %w", name, u.Name, translate(err))
				}
				return
			}
			set(v.Value())
		}}
	}
	requests := []request{
		get("Unit", "FragmentPath", func(v any) { u.FragmentPath, _ = v.(string) }),
		get("Unit", "DropInPaths", func(v any) { u.DropInPaths, _ = v.([]string) }),
		get("Unit", "NeedDaemonReload", func(v any) { u.NeedDaemonReload, _ = v.(bool) }),
		get("Unit", "InvocationID", func(v any) { u.InvocationID = invocation(v) }),
		get("Unit", "StateChangeTimestamp", func(v any) { u.StateChange = instant(v) }),
		get("Unit", "StateChangeTimestampMonotonic", func(v any) { u.StateChangeMono = sinceBoot(v) }),
	}
	switch kind := u.Name[strings.LastIndexByte(u.Name, '.')+1:]; kind {
	case "service":
		requests = append(requests,
			get("Service", "Result", func(v any) { u.Result, _ = v.(string) }),
			get("Service", "MainPID", func(v any) { u.MainPID = number(v) }),
			get("Service", "NRestarts", func(v any) { u.NRestarts = number(v) }),
			get("Service", "ExecMainStatus", func(v any) { u.ExecMainStatus = number(v) }))
	case "timer", "socket", "path", "mount", "swap", "automount", "scope":
		face := strings.ToUpper(kind[:1]) + kind[1:]
		requests = append(requests, get(face, "Result", func(v any) { u.Result, _ = v.(string) }))
	}
	return requests
}

func invocation(v any) string {
	id, _ := v.([]byte)
	return hex.EncodeToString(id)
}

func sinceBoot(v any) time.Duration {
	us, _ := v.(uint64)
	return time.Duration(us) * time.Microsecond
}

func instant(v any) time.Time {
	us, _ := v.(uint64)
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(us))
}

func number(v any) int {
	switch n := v.(type) {
	case int32:
		return int(n)
	case uint32:
		return int(n)
	}
	return 0
}
