package systemd

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// errNoProperty says that this systemd is older than a property.
var errNoProperty = errors.New("no such property")

// State is the manager's own state in the words of systemctl is-system-running, and the units that
// failed, sorted.
func (m *Manager) State(ctx context.Context) (state string, failed []string, err error) {
	v, err := m.Property(ctx, "", "Manager", "SystemState")
	if err != nil {
		return "", nil, err
	}
	state, _ = v.(string)
	b, err := m.bus(ctx)
	if err != nil {
		return "", nil, err
	}
	var listed []listing
	call := b.root.CallWithContext(ctx, managerFace+".ListUnitsFiltered", 0, []string{Failed})
	if err := call.Store(&listed); err != nil {
		return "", nil, fmt.Errorf("list failed units: %w", translate(err))
	}
	for _, l := range listed {
		failed = append(failed, l.Name)
	}
	slices.Sort(failed)
	return state, failed, nil
}

// SoftReboots is how often this systemd was started anew without a boot of the kernel. One that does not
// count (before 256) says 0.
func (m *Manager) SoftReboots(ctx context.Context) (int, error) {
	v, err := m.Property(ctx, "", "Manager", "SoftRebootsCount")
	if err != nil {
		if errors.Is(err, errNoProperty) {
			err = nil
		}
		return 0, err
	}
	switch n := v.(type) {
	case uint64:
		return int(n), nil
	case uint32:
		return int(n), nil
	}
	return 0, fmt.Errorf("read SoftRebootsCount: got %T", v)
}

// Active says which of these units run.
func (m *Manager) Active(ctx context.Context, names []string) (map[string]bool, error) {
	b, err := m.bus(ctx)
	if err != nil {
		return nil, err
	}
	listed, err := b.list(ctx, names)
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for _, l := range listed {
		out[l.Name] = l.Active == Active || l.Active == Activating
	}
	return out, nil
}
